// Instantiates the paper's models and their training steps once, for programs that link neural_attention::compiled.
#include "neural_attention/paper.hpp"

namespace neural_attention {

template class Marian<Cpu<float>, paper::marian>;
template class ModelBase<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head, TranslationBatch>;
template class GenerativeModel<paper::Marian, MarianConfig, paper::Marian::Body, paper::Marian::Head, TranslationBatch>;
template class TrainingStep<paper::Marian>;
template void TrainingStep<paper::Marian>::launch(std::span<TranslationBatch>);
template StepResult TrainingStep<paper::Marian>::run(std::span<TranslationBatch>);
template LossSum TrainingStep<paper::Marian>::evaluate(const TranslationBatch&, double);

template class Roberta<Cpu<float>, paper::roberta>;
template class ModelBase<paper::Roberta, RobertaConfig, paper::Roberta::Body, paper::Roberta::Head, MaskedBatch>;
template class TrainingStep<paper::Roberta>;
template void TrainingStep<paper::Roberta>::launch(std::span<MaskedBatch>);
template StepResult TrainingStep<paper::Roberta>::run(std::span<MaskedBatch>);
template LossSum TrainingStep<paper::Roberta>::evaluate(const MaskedBatch&, double);

}  // namespace neural_attention
