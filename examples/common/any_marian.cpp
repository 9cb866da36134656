#include "common/any_model.hpp"

template class neural_attention::Marian<examples::Backend, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::AnyMarian, neural_attention::MarianConfig,
                                           examples::AnyMarian::Body, examples::AnyMarian::Head,
                                           neural_attention::TranslationBatch>;
template class neural_attention::GenerativeModel<examples::AnyMarian, neural_attention::MarianConfig,
                                                 examples::AnyMarian::Body, examples::AnyMarian::Head,
                                                 neural_attention::TranslationBatch>;
template class neural_attention::Generator<examples::AnyMarian>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Backend&,
                                                                           examples::AnyMarian&, const LoadOptions&);
template void neural_attention::io::check_model_files<examples::AnyMarian>(const std::string&,
                                                                           const neural_attention::MarianConfig&,
                                                                           const LoadOptions&);
