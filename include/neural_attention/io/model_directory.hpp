// Model directories as Hugging Face lays them out: config.json, generation_config.json, and the parameters in
// model.safetensors or in shards with an index.
#pragma once

#include <string>

#include "neural_attention/io/generation_config_json.hpp"
#include "neural_attention/io/gpt2_config_json.hpp"
#include "neural_attention/io/load_model.hpp"
#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/io/save_model.hpp"

namespace neural_attention::io {

namespace detail {

/// `begin` is the token that an old config.json forces to the beginning if it does not say which. `continues_texts`: as
/// generation_config takes it.
GenerationConfig load_generation_config(const std::string& directory, const GenerationConfig& defaults, int begin,
                                        bool continues_texts);

}  // namespace detail

/// How the model of a directory translates or continues texts: as generation_config.json says. Without that file, as in
/// older models, the generation keys of config.json apply on top of generation_defaults. Texts that a model continues
/// may fill all its positions if nothing gives a max_length.
template <class Config>
GenerationConfig load_generation_config(const std::string& directory, const Config& config) {
  constexpr bool continues_texts = requires { requires Config::continues_texts; };
  return detail::load_generation_config(directory, generation_defaults(config), config.eos_token_id, continues_texts);
}

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/model_directory.hpp"
#endif
