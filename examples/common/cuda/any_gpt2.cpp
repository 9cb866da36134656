#include "common/cuda/any_model.hpp"

template class neural_attention::Gpt2<examples::Gpu, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::Gpt2On<examples::Gpu>, neural_attention::Gpt2Config,
                                           examples::Gpt2On<examples::Gpu>::Body, examples::Gpt2On<examples::Gpu>::Head,
                                           neural_attention::CausalBatch>;
template class neural_attention::GenerativeModel<examples::Gpt2On<examples::Gpu>, neural_attention::Gpt2Config,
                                                 examples::Gpt2On<examples::Gpu>::Body,
                                                 examples::Gpt2On<examples::Gpu>::Head, neural_attention::CausalBatch>;
template class neural_attention::Generator<examples::Gpt2On<examples::Gpu>>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                           examples::Gpt2On<examples::Gpu>&,
                                                                           const LoadOptions&);
template class neural_attention::Gpt2<examples::GpuBf16, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::Gpt2On<examples::GpuBf16>, neural_attention::Gpt2Config,
                                           examples::Gpt2On<examples::GpuBf16>::Body,
                                           examples::Gpt2On<examples::GpuBf16>::Head, neural_attention::CausalBatch>;
template class neural_attention::GenerativeModel<
    examples::Gpt2On<examples::GpuBf16>, neural_attention::Gpt2Config, examples::Gpt2On<examples::GpuBf16>::Body,
    examples::Gpt2On<examples::GpuBf16>::Head, neural_attention::CausalBatch>;
template class neural_attention::Generator<examples::Gpt2On<examples::GpuBf16>>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::GpuBf16&,
                                                                           examples::Gpt2On<examples::GpuBf16>&,
                                                                           const LoadOptions&);
