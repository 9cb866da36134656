#include "common/cuda/any_model.hpp"

template class neural_attention::Roberta<examples::Gpu, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::RobertaOn<examples::Gpu>, neural_attention::RobertaConfig,
                                           examples::RobertaOn<examples::Gpu>::Body,
                                           examples::RobertaOn<examples::Gpu>::Head, neural_attention::MaskedBatch>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                           examples::RobertaOn<examples::Gpu>&,
                                                                           const LoadOptions&);
template class neural_attention::Roberta<examples::GpuBf16, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::RobertaOn<examples::GpuBf16>, neural_attention::RobertaConfig,
                                           examples::RobertaOn<examples::GpuBf16>::Body,
                                           examples::RobertaOn<examples::GpuBf16>::Head, neural_attention::MaskedBatch>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::GpuBf16&,
                                                                           examples::RobertaOn<examples::GpuBf16>&,
                                                                           const LoadOptions&);
