// The commands of `causal_lm` on the GPU.
#include "causal_lm/evaluate.hpp"
#include "causal_lm/generate.hpp"
#include "causal_lm/train.hpp"
#include "common/cuda/any_model.hpp"

template int examples::train<examples::Gpu>(const TrainOptions&);
template int examples::train<examples::GpuBf16>(const TrainOptions&);
template int examples::evaluate<examples::Gpu>(const EvaluateOptions&);
template int examples::evaluate<examples::GpuBf16>(const EvaluateOptions&);
template int examples::generate<examples::Gpu>(const GenerateOptions&);
template int examples::generate<examples::GpuBf16>(const GenerateOptions&);
