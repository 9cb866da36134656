// The models of the programs on the GPU. Their code is in any_marian.cpp, any_roberta.cpp and any_gpt2.cpp here.
#pragma once

#include "common/any_model.hpp"
#include "neural_attention/cuda.hpp"

namespace examples {

using Gpu = na::Cuda<float>;
using GpuBf16 = na::Cuda<na::bfloat16>;

}  // namespace examples

EXAMPLES_MODEL(extern template, Marian, MarianOn, MarianConfig, TranslationBatch, Gpu);
EXAMPLES_GENERATOR(extern template, MarianOn, MarianConfig, TranslationBatch, Gpu);
EXAMPLES_MODEL(extern template, Marian, MarianOn, MarianConfig, TranslationBatch, GpuBf16);
EXAMPLES_GENERATOR(extern template, MarianOn, MarianConfig, TranslationBatch, GpuBf16);
EXAMPLES_MODEL(extern template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, Gpu);
EXAMPLES_MODEL(extern template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, GpuBf16);
EXAMPLES_MODEL(extern template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, Gpu);
EXAMPLES_GENERATOR(extern template, Gpt2On, Gpt2Config, CausalBatch, Gpu);
EXAMPLES_MODEL(extern template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, GpuBf16);
EXAMPLES_GENERATOR(extern template, Gpt2On, Gpt2Config, CausalBatch, GpuBf16);
