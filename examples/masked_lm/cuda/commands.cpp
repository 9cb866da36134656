// The commands of `masked_lm` on the GPU.
#include "common/cuda/any_model.hpp"
#include "masked_lm/evaluate.hpp"
#include "masked_lm/fill.hpp"
#include "masked_lm/train.hpp"

template int examples::train<examples::Gpu>(const TrainOptions&);
template int examples::train<examples::GpuBf16>(const TrainOptions&);
template int examples::evaluate<examples::Gpu>(const EvaluateOptions&);
template int examples::evaluate<examples::GpuBf16>(const EvaluateOptions&);
template int examples::fill<examples::Gpu>(const FillOptions&);
template int examples::fill<examples::GpuBf16>(const FillOptions&);
