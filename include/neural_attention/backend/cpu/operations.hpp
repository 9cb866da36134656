// All operations of Cpu<T>: compute(engine, operation) for each of core/operations/.
#pragma once

#include "neural_attention/backend/cpu/attention.hpp"
#include "neural_attention/backend/cpu/choosing.hpp"
#include "neural_attention/backend/cpu/convolution.hpp"
#include "neural_attention/backend/cpu/elementwise.hpp"
#include "neural_attention/backend/cpu/embedding.hpp"
#include "neural_attention/backend/cpu/linear.hpp"
#include "neural_attention/backend/cpu/loss.hpp"
#include "neural_attention/backend/cpu/normalization.hpp"
#include "neural_attention/backend/cpu/optimizer.hpp"
#include "neural_attention/backend/cpu/peak.hpp"
#include "neural_attention/backend/cpu/rational.hpp"
#include "neural_attention/backend/cpu/scale_groups.hpp"
