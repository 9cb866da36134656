#include "common/any_model.hpp"

EXAMPLES_MODEL(template, Roberta, RobertaOn, RobertaConfig, MaskedBatch, Backend);
EXAMPLES_MODEL_FILES(template, AnyRoberta, RobertaConfig);
