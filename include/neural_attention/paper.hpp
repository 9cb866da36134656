// The paper's models and their training steps. neural_attention::compiled holds their code: a program that uses them
// does not compile it again.
#pragma once

#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/train/training_step.hpp"

namespace neural_attention::paper {

using Marian = neural_attention::Marian<Cpu<float>, marian>;
using Roberta = neural_attention::Roberta<Cpu<float>, roberta>;

}  // namespace neural_attention::paper

#if defined(NEURAL_ATTENTION_COMPILED)
namespace neural_attention {

extern template class Marian<Cpu<float>, paper::marian>;
extern template class Model<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head, TranslationBatch>;
extern template class GenerativeModel<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head,
                                      TranslationBatch>;
extern template class TrainingStep<paper::Marian>;
extern template void TrainingStep<paper::Marian>::launch(std::span<TranslationBatch>);
extern template StepResult TrainingStep<paper::Marian>::run(std::span<TranslationBatch>);
extern template LossSum TrainingStep<paper::Marian>::evaluate(const TranslationBatch&, double);

extern template class Roberta<Cpu<float>, paper::roberta>;
extern template class Model<paper::Roberta, RobertaConfig, paper::Roberta::Body, paper::Roberta::Head, MaskedBatch>;
extern template class TrainingStep<paper::Roberta>;
extern template void TrainingStep<paper::Roberta>::launch(std::span<MaskedBatch>);
extern template StepResult TrainingStep<paper::Roberta>::run(std::span<MaskedBatch>);
extern template LossSum TrainingStep<paper::Roberta>::evaluate(const MaskedBatch&, double);

}  // namespace neural_attention
#endif
