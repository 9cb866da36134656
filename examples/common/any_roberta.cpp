#include "common/any_model.hpp"

template class neural_attention::Roberta<examples::Backend, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::AnyRoberta, neural_attention::RobertaConfig,
                                           examples::AnyRoberta::Body, examples::AnyRoberta::Head,
                                           neural_attention::MaskedBatch>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Backend&,
                                                                           examples::AnyRoberta&, const LoadOptions&);
template void neural_attention::io::check_model_files<examples::AnyRoberta>(const std::string&,
                                                                            const neural_attention::RobertaConfig&,
                                                                            const LoadOptions&);
