#include "common/any_model.hpp"

EXAMPLES_MODEL(template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, Backend);
EXAMPLES_GENERATOR(template, Gpt2On, Gpt2Config, CausalBatch, Backend);
EXAMPLES_MODEL_FILES(template, AnyGpt2, Gpt2Config);
