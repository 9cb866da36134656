// The model of the programs: every role chooses its projector at run time, so one instantiation serves all variants.
#pragma once

#include <string>

#include "neural_attention/io/model_directory.hpp"
#include "neural_attention/models/any_model.hpp"
#include "neural_attention/neural_attention.hpp"
#include "neural_attention/text/marian_tokenizer.hpp"

namespace examples {

namespace na = neural_attention;

using Backend = na::Cpu<float>;

template <class B>
using AnyProjector = na::Choice<B, na::Linear, na::SequentialLinear, na::Neural, na::PlainNeural, na::ResidualNeural,
                                na::ResidualPlainNeural>;
using AnyProjections = na::Projections<AnyProjector, AnyProjector, AnyProjector, AnyProjector>;
using Model = na::Marian<Backend, AnyProjections>;

/// A model directory read for inference.
class LoadedModel {
 public:
  LoadedModel(Backend& backend, const std::string& directory)
      : tokenizer(na::text::MarianTokenizer::load(directory)),
        any_(backend, fitting_config(directory, tokenizer), std::nullopt, na::Purpose::Inference),
        model(*any_.get<Model>()),
        generation(na::io::load_generation_config(directory, model.config())) {
    na::io::load_model(directory, backend, model);
  }

  na::text::MarianTokenizer tokenizer;

 private:
  static na::MarianConfig fitting_config(const std::string& directory, const na::text::MarianTokenizer& tokenizer) {
    const auto path = directory + "/config.json";
    auto config = na::io::load_marian_config(path);
    if (config.vocab_size != tokenizer.vocab_size())
      throw na::FileError(path, "the model has a vocabulary of " + std::to_string(config.vocab_size) +
                                    ", but vocab.json has " + std::to_string(tokenizer.vocab_size()) + " entries");
    return config;
  }

  na::AnyModel<Model> any_;  // says which type to add where a directory has projectors that no type here offers

 public:
  Model& model;
  na::GenerationConfig generation;
};

}  // namespace examples
