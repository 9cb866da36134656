// The commands of `translation` on the GPU.
#include "common/cuda/any_model.hpp"
#include "translation/evaluate.hpp"
#include "translation/train.hpp"
#include "translation/translate.hpp"

template int examples::train<examples::Gpu>(const TrainOptions&);
template int examples::train<examples::GpuBf16>(const TrainOptions&);
template int examples::evaluate<examples::Gpu>(const EvaluateOptions&);
template int examples::evaluate<examples::GpuBf16>(const EvaluateOptions&);
template int examples::translate<examples::Gpu>(const TranslateOptions&);
template int examples::translate<examples::GpuBf16>(const TranslateOptions&);
