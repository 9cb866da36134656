// What programs instantiate of a model: once in a .cpp, which `keyword` template does, and as extern template for all
// other files. `Model` is MarianOn, RobertaOn or Gpt2On, `Config` and `Batch` are the library's, `B` is a backend.
#pragma once

#define EXAMPLES_MODEL(keyword, Library, Model, Config, Batch, B)                                                   \
  keyword class neural_attention::Library<examples::B, examples::AnyProjections>;                                   \
  keyword class neural_attention::ModelBase<examples::Model<examples::B>, neural_attention::Config,                 \
                                            examples::Model<examples::B>::Body, examples::Model<examples::B>::Head, \
                                            neural_attention::Batch>;                                               \
  keyword neural_attention::io::LoadReport neural_attention::io::load_model(                                        \
      const std::string&, examples::B&, examples::Model<examples::B>&, const LoadOptions&)

/// What a model that generates has besides.
#define EXAMPLES_GENERATOR(keyword, Model, Config, Batch, B)                                                    \
  keyword class neural_attention::GenerativeModel<examples::Model<examples::B>, neural_attention::Config,       \
                                                  examples::Model<examples::B>::Body,                           \
                                                  examples::Model<examples::B>::Head, neural_attention::Batch>; \
  keyword class neural_attention::Generator<examples::Model<examples::B>>

/// What programs ask of a model and its files before they make it, whatever the backend.
#define EXAMPLES_MODEL_FILES(keyword, Model, Config)                                 \
  keyword void neural_attention::io::check_model_files<examples::Model>(             \
      const std::string&, const neural_attention::Config&, const LoadOptions&);      \
  keyword neural_attention::ModelSize neural_attention::model_size<examples::Model>( \
      const neural_attention::Config&, const neural_attention::ExampleTokens&)
