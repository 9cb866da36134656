// The model of the programs: every role chooses its projector at run time, so one instantiation serves all variants.
#pragma once

#include <string>

#include "neural_attention/io/marian_config_json.hpp"
#include "neural_attention/io/parameter_file.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/text/marian_tokenizer.hpp"

namespace examples {

namespace na = neural_attention;

using Backend = na::Cpu<float>;

/// In the order of io::projector_names.
template <class B>
using AnyProjector = na::Choice<B, na::Linear, na::SequentialLinear, na::Neural, na::PlainNeural>;
using AnyProjections = na::Projections<AnyProjector, AnyProjector, AnyProjector, AnyProjector>;
using Model = na::Marian<Backend, AnyProjections>;

/// A model directory read for inference.
struct LoadedModel {
  LoadedModel(Backend& backend, const std::string& directory)
      : tokenizer(na::text::MarianTokenizer::load(directory)),
        model(backend, fitting_config(directory, tokenizer), 0, na::Purpose::Inference) {
    na::io::load_parameters(directory + "/model.safetensors", backend, model.parameters());
  }

  na::text::MarianTokenizer tokenizer;
  Model model;

 private:
  static na::MarianConfig fitting_config(const std::string& directory, const na::text::MarianTokenizer& tokenizer) {
    const auto path = directory + "/config.json";
    auto config = na::io::load_marian_config(path);
    if (config.vocab_size != tokenizer.vocab_size())
      throw na::FileError(path, "the model has a vocabulary of " + std::to_string(config.vocab_size) +
                                    ", but vocab.json has " + std::to_string(tokenizer.vocab_size()) + " entries");
    return config;
  }
};

}  // namespace examples
