// The paper's models and their training steps. neural_attention::compiled holds their code, so programs that use them
// do not compile it again.
#pragma once

#include "neural_attention/models/paper.hpp"
#include "neural_attention/train/training_step.hpp"

#if defined(NEURAL_ATTENTION_COMPILED)
namespace neural_attention {

extern template class TrainingStep<paper::Marian>;
extern template void TrainingStep<paper::Marian>::launch(std::span<TranslationBatch>);
extern template StepResult TrainingStep<paper::Marian>::run(std::span<TranslationBatch>);
extern template LossSum TrainingStep<paper::Marian>::evaluate(const TranslationBatch&, double);

extern template class TrainingStep<paper::Roberta>;
extern template void TrainingStep<paper::Roberta>::launch(std::span<MaskedBatch>);
extern template StepResult TrainingStep<paper::Roberta>::run(std::span<MaskedBatch>);
extern template LossSum TrainingStep<paper::Roberta>::evaluate(const MaskedBatch&, double);

}  // namespace neural_attention
#endif
