#include "common/any_model.hpp"

template class neural_attention::Gpt2<examples::Backend, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::AnyGpt2, neural_attention::Gpt2Config, examples::AnyGpt2::Body,
                                           examples::AnyGpt2::Head, neural_attention::CausalBatch>;
template class neural_attention::GenerativeModel<examples::AnyGpt2, neural_attention::Gpt2Config,
                                                 examples::AnyGpt2::Body, examples::AnyGpt2::Head,
                                                 neural_attention::CausalBatch>;
template class neural_attention::Generator<examples::AnyGpt2>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Backend&,
                                                                           examples::AnyGpt2&, const LoadOptions&);
template void neural_attention::io::check_model_files<examples::AnyGpt2>(const std::string&,
                                                                         const neural_attention::Gpt2Config&,
                                                                         const LoadOptions&);
