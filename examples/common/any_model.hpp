// The models of the programs: every role chooses its projector at run time, so one instantiation serves all variants.
#pragma once

#include <optional>
#include <string>
#include <utility>

#include "common/instances.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/neural_attention.hpp"

namespace examples {

namespace na = neural_attention;

using Backend = na::Cpu<float>;

using na::AnyProjections;
using na::AnyProjector;
template <class B>
using MarianOn = na::Marian<B, AnyProjections>;
template <class B>
using RobertaOn = na::Roberta<B, AnyProjections>;
template <class B>
using Gpt2On = na::Gpt2<B, AnyProjections>;
using AnyMarian = MarianOn<Backend>;
using AnyRoberta = RobertaOn<Backend>;
using AnyGpt2 = Gpt2On<Backend>;

}  // namespace examples

// Their code is in any_marian.cpp, any_roberta.cpp and any_gpt2.cpp, once for all files of all programs.
EXAMPLES_MODEL(extern template, Marian, MarianOn, MarianConfig, TranslationBatch, Backend);
EXAMPLES_GENERATOR(extern template, MarianOn, MarianConfig, TranslationBatch, Backend);
EXAMPLES_MODEL_FILES(extern template, AnyMarian, MarianConfig);
EXAMPLES_MODEL(extern template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, Backend);
EXAMPLES_MODEL_FILES(extern template, AnyRoberta, RobertaConfig);
EXAMPLES_MODEL(extern template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, Backend);
EXAMPLES_GENERATOR(extern template, Gpt2On, Gpt2Config, CausalBatch, Backend);
EXAMPLES_MODEL_FILES(extern template, AnyGpt2, Gpt2Config);

namespace examples {

/// Throws FileError if the file of a config names a projector that the programs do not have.
template <class Config>
void require_known_projectors(const Config& config, const std::string& path) {
  try {
    na::for_each_named_projector(
        [](const std::string&, const na::ProjectorConfig& projector) {
          AnyProjector<Backend>::index_of(projector.type);
        },
        config);
  } catch (const na::ConfigError& error) {
    throw na::FileError(path, error.what());
  }
}

/// Throws FileError if a model and its tokenizer, both of a directory, are not made for each other: it has fewer
/// rows than there are ids, or other special tokens, if the tokenizer says which they are. So it does for projectors
/// that the programs do not have.
template <class Config, class Tokenizer>
void require_fitting(const Config& config, const Tokenizer& tokenizer, const std::string& directory) {
  const auto path = directory + "/config.json";
  require_known_projectors(config, path);
  if (config.vocab_size < tokenizer.vocab_size())
    throw na::FileError(path, "the model has a vocabulary of " + std::to_string(config.vocab_size) +
                                  ", but its tokenizer one of " + std::to_string(tokenizer.vocab_size()));
  if constexpr (requires { tokenizer.pad_id(); }) {
    const auto require_same = [&](const char* key, int of_model, int of_tokenizer) {
      if (of_model != of_tokenizer)
        throw na::FileError(path, std::string(key) + " is " + std::to_string(of_model) +
                                      ", but in the vocabulary of its tokenizer that token is " +
                                      std::to_string(of_tokenizer));
    };
    require_same("pad_token_id", config.pad_token_id, tokenizer.pad_id());
    require_same("eos_token_id", config.eos_token_id, tokenizer.eos_id());
  }
}

/// A model directory read for inference; an int8 one stays so. `Model` is MarianOn, RobertaOn or Gpt2On some backend.
template <class Model, class Tokenizer>
class LoadedModel {
 public:
  /// `precision` is that of the command's products. Throws ConfigError for BFloat16 and a directory of int8.
  LoadedModel(typename Model::Backend& backend, const std::string& directory,
              na::Purpose purpose = na::Purpose::Inference, na::Precision precision = na::Precision::Float32)
      : config_(na::io::load_config<typename Model::Config>(directory + "/config.json")),  // says what the model is
        tokenizer(Tokenizer::load(directory)),
        any_(backend, checked(config_, directory, tokenizer), std::nullopt, purpose_of(directory, purpose, precision)),
        model(*any_.template get<Model>()) {
    na::io::load_model(directory, backend, model);
    model.parameters().release_masters();
  }

 private:
  typename Model::Config config_;

 public:
  Tokenizer tokenizer;

 private:
  /// A config with the sizes of the files, so that the model can be made of it.
  static const typename Model::Config& checked(const typename Model::Config& config, const std::string& directory,
                                               const Tokenizer& tokenizer) {
    require_fitting(config, tokenizer, directory);
    if (na::fits<Model>(config)) na::io::check_model_files<Model>(directory, config);
    return config;
  }

  static na::Purpose purpose_of(const std::string& directory, na::Purpose purpose, na::Precision precision) {
    if (!na::io::holds_int8(directory)) return purpose;
    if (precision == na::Precision::BFloat16)
      throw na::ConfigError(directory + " holds int8 weights, which exclude --dtype bfloat16: leave --dtype out");
    return na::Purpose::Int8Inference;
  }

  na::AnyModel<Model> any_;  // says which type to add if a directory has projectors that no type here offers

 public:
  Model& model;
};

}  // namespace examples
