// NeuralAttention: transformers whose query, key, value and output projections are small neural networks. This header
// includes models, projectors, training steps, decoding and the CPU backend. Other headers are included by name:
// metrics/…, report/…, testing/…, io/…, trainer/…, text/….
#pragma once

// clang-format off
#include "neural_attention/core/language.hpp"  // first: it says in one line that a compiler is too old
// clang-format on

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/attention/multi_head.hpp"
#include "neural_attention/attention/projector_names.hpp"
#include "neural_attention/attention/projectors.hpp"
#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/causal_batch.hpp"
#include "neural_attention/core/concepts.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/model_contracts.hpp"
#include "neural_attention/core/version.hpp"
#include "neural_attention/decode/generate.hpp"
#include "neural_attention/models/gpt2.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/models/matching.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/nn/positions.hpp"
#include "neural_attention/nn/recompute.hpp"
#include "neural_attention/nn/sequential.hpp"
#include "neural_attention/paper.hpp"
#include "neural_attention/train/optimizers.hpp"
#include "neural_attention/train/schedules.hpp"
#include "neural_attention/train/training_step.hpp"
