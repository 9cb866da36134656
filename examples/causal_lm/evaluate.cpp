#include "causal_lm/evaluate.hpp"

template int examples::evaluate<examples::Backend>(const EvaluateOptions&);
