#include "common/cuda/any_model.hpp"

EXAMPLES_MODEL(template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, Gpu);
EXAMPLES_MODEL(template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, GpuBf16);
