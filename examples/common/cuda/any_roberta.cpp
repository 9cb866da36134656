#include "common/cuda/any_model.hpp"

template class neural_attention::Roberta<examples::Gpu, examples::AnyProjections>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                           examples::RobertaOn<examples::Gpu>&,
                                                                           const LoadOptions&);
template class neural_attention::Roberta<examples::GpuBf16, examples::AnyProjections>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::GpuBf16&,
                                                                           examples::RobertaOn<examples::GpuBf16>&,
                                                                           const LoadOptions&);
