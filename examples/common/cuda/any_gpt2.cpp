#include "common/cuda/any_model.hpp"

EXAMPLES_MODEL(template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, Gpu);
EXAMPLES_GENERATOR(template, Gpt2On, Gpt2Config, CausalBatch, Gpu);
EXAMPLES_MODEL(template, Gpt2, Gpt2On, Gpt2Config, CausalBatch, GpuBf16);
EXAMPLES_GENERATOR(template, Gpt2On, Gpt2Config, CausalBatch, GpuBf16);
