// The paper's models. neural_attention::compiled holds their code: a program that uses them does not compile it again.
#pragma once

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/models/roberta.hpp"

namespace neural_attention {

namespace paper {

using Marian = neural_attention::Marian<Cpu<float>, marian>;
using Roberta = neural_attention::Roberta<Cpu<float>, roberta>;

}  // namespace paper

#if defined(NEURAL_ATTENTION_COMPILED)
extern template class Marian<Cpu<float>, paper::marian>;
extern template class ModelBase<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head,
                                TranslationBatch>;
extern template class GenerativeModel<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head,
                                      TranslationBatch>;

extern template class Roberta<Cpu<float>, paper::roberta>;
extern template class ModelBase<paper::Roberta, RobertaConfig, paper::Roberta::Body, paper::Roberta::Head, MaskedBatch>;
#endif

}  // namespace neural_attention
