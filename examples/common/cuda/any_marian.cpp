#include "common/cuda/any_model.hpp"

template class neural_attention::Marian<examples::Gpu, examples::AnyProjections>;
template class neural_attention::ModelBase<examples::MarianOn<examples::Gpu>, neural_attention::MarianConfig,
                                           examples::MarianOn<examples::Gpu>::Body,
                                           examples::MarianOn<examples::Gpu>::Head, neural_attention::TranslationBatch>;
template class neural_attention::GenerativeModel<
    examples::MarianOn<examples::Gpu>, neural_attention::MarianConfig, examples::MarianOn<examples::Gpu>::Body,
    examples::MarianOn<examples::Gpu>::Head, neural_attention::TranslationBatch>;
template class neural_attention::Generator<examples::MarianOn<examples::Gpu>>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                           examples::MarianOn<examples::Gpu>&,
                                                                           const LoadOptions&);
template class neural_attention::Marian<examples::GpuBf16, examples::AnyProjections>;
template class neural_attention::ModelBase<
    examples::MarianOn<examples::GpuBf16>, neural_attention::MarianConfig, examples::MarianOn<examples::GpuBf16>::Body,
    examples::MarianOn<examples::GpuBf16>::Head, neural_attention::TranslationBatch>;
template class neural_attention::GenerativeModel<
    examples::MarianOn<examples::GpuBf16>, neural_attention::MarianConfig, examples::MarianOn<examples::GpuBf16>::Body,
    examples::MarianOn<examples::GpuBf16>::Head, neural_attention::TranslationBatch>;
template class neural_attention::Generator<examples::MarianOn<examples::GpuBf16>>;
template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::GpuBf16&,
                                                                           examples::MarianOn<examples::GpuBf16>&,
                                                                           const LoadOptions&);
