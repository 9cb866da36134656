// The definitions of every Cpu<T> operation. Included by cpu.hpp when header-only; else by the one compiled unit.
#pragma once

#include "neural_attention/backend/cpu/attention.hpp"
#include "neural_attention/backend/cpu/choosing.hpp"
#include "neural_attention/backend/cpu/elementwise.hpp"
#include "neural_attention/backend/cpu/embedding.hpp"
#include "neural_attention/backend/cpu/linear.hpp"
#include "neural_attention/backend/cpu/loss.hpp"
#include "neural_attention/backend/cpu/normalization.hpp"
#include "neural_attention/backend/cpu/optimizer.hpp"
