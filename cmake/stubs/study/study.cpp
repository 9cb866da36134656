// Compiles experiments once, for programs that link neural_attention::compiled.
#include "neural_attention/study/impl/fingerprint.hpp"
#include "neural_attention/study/impl/paired_comparison.hpp"
#include "neural_attention/study/impl/plan_file.hpp"
#include "neural_attention/study/impl/study_config.hpp"
#include "neural_attention/study/impl/study_plan.hpp"
#include "neural_attention/study/impl/tuning.hpp"
#include "neural_attention/study/impl/verdict.hpp"
