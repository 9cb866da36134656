// The models of the programs on the GPU. Their code is in any_marian.cpp, any_roberta.cpp and any_gpt2.cpp here.
#pragma once

#include "common/any_model.hpp"
#include "neural_attention/cuda.hpp"

namespace examples {

using Gpu = na::Cuda<float>;
using GpuBf16 = na::Cuda<na::bfloat16>;

}  // namespace examples

extern template class neural_attention::Marian<examples::Gpu, examples::AnyProjections>;
extern template class neural_attention::ModelBase<
    examples::MarianOn<examples::Gpu>, neural_attention::MarianConfig, examples::MarianOn<examples::Gpu>::Body,
    examples::MarianOn<examples::Gpu>::Head, neural_attention::TranslationBatch>;
extern template class neural_attention::GenerativeModel<
    examples::MarianOn<examples::Gpu>, neural_attention::MarianConfig, examples::MarianOn<examples::Gpu>::Body,
    examples::MarianOn<examples::Gpu>::Head, neural_attention::TranslationBatch>;
extern template class neural_attention::Generator<examples::MarianOn<examples::Gpu>>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                                  examples::MarianOn<examples::Gpu>&,
                                                                                  const LoadOptions&);
extern template class neural_attention::Marian<examples::GpuBf16, examples::AnyProjections>;
extern template class neural_attention::ModelBase<
    examples::MarianOn<examples::GpuBf16>, neural_attention::MarianConfig, examples::MarianOn<examples::GpuBf16>::Body,
    examples::MarianOn<examples::GpuBf16>::Head, neural_attention::TranslationBatch>;
extern template class neural_attention::GenerativeModel<
    examples::MarianOn<examples::GpuBf16>, neural_attention::MarianConfig, examples::MarianOn<examples::GpuBf16>::Body,
    examples::MarianOn<examples::GpuBf16>::Head, neural_attention::TranslationBatch>;
extern template class neural_attention::Generator<examples::MarianOn<examples::GpuBf16>>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(
    const std::string&, examples::GpuBf16&, examples::MarianOn<examples::GpuBf16>&, const LoadOptions&);
extern template class neural_attention::Roberta<examples::Gpu, examples::AnyProjections>;
extern template class neural_attention::ModelBase<
    examples::RobertaOn<examples::Gpu>, neural_attention::RobertaConfig, examples::RobertaOn<examples::Gpu>::Body,
    examples::RobertaOn<examples::Gpu>::Head, neural_attention::MaskedBatch>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                                  examples::RobertaOn<examples::Gpu>&,
                                                                                  const LoadOptions&);
extern template class neural_attention::Roberta<examples::GpuBf16, examples::AnyProjections>;
extern template class neural_attention::ModelBase<
    examples::RobertaOn<examples::GpuBf16>, neural_attention::RobertaConfig,
    examples::RobertaOn<examples::GpuBf16>::Body, examples::RobertaOn<examples::GpuBf16>::Head,
    neural_attention::MaskedBatch>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(
    const std::string&, examples::GpuBf16&, examples::RobertaOn<examples::GpuBf16>&, const LoadOptions&);
extern template class neural_attention::Gpt2<examples::Gpu, examples::AnyProjections>;
extern template class neural_attention::ModelBase<examples::Gpt2On<examples::Gpu>, neural_attention::Gpt2Config,
                                                  examples::Gpt2On<examples::Gpu>::Body,
                                                  examples::Gpt2On<examples::Gpu>::Head, neural_attention::CausalBatch>;
extern template class neural_attention::GenerativeModel<
    examples::Gpt2On<examples::Gpu>, neural_attention::Gpt2Config, examples::Gpt2On<examples::Gpu>::Body,
    examples::Gpt2On<examples::Gpu>::Head, neural_attention::CausalBatch>;
extern template class neural_attention::Generator<examples::Gpt2On<examples::Gpu>>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&, examples::Gpu&,
                                                                                  examples::Gpt2On<examples::Gpu>&,
                                                                                  const LoadOptions&);
extern template class neural_attention::Gpt2<examples::GpuBf16, examples::AnyProjections>;
extern template class neural_attention::ModelBase<
    examples::Gpt2On<examples::GpuBf16>, neural_attention::Gpt2Config, examples::Gpt2On<examples::GpuBf16>::Body,
    examples::Gpt2On<examples::GpuBf16>::Head, neural_attention::CausalBatch>;
extern template class neural_attention::GenerativeModel<
    examples::Gpt2On<examples::GpuBf16>, neural_attention::Gpt2Config, examples::Gpt2On<examples::GpuBf16>::Body,
    examples::Gpt2On<examples::GpuBf16>::Head, neural_attention::CausalBatch>;
extern template class neural_attention::Generator<examples::Gpt2On<examples::GpuBf16>>;
extern template neural_attention::io::LoadReport neural_attention::io::load_model(const std::string&,
                                                                                  examples::GpuBf16&,
                                                                                  examples::Gpt2On<examples::GpuBf16>&,
                                                                                  const LoadOptions&);
