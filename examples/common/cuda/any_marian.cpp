#include "common/cuda/any_model.hpp"

EXAMPLES_MODEL(template, Marian, MarianOn, MarianConfig, TranslationBatch, Gpu);
EXAMPLES_GENERATOR(template, MarianOn, MarianConfig, TranslationBatch, Gpu);
EXAMPLES_MODEL(template, Marian, MarianOn, MarianConfig, TranslationBatch, GpuBf16);
EXAMPLES_GENERATOR(template, MarianOn, MarianConfig, TranslationBatch, GpuBf16);
