#include "translation/evaluate.hpp"

template int examples::evaluate<examples::Backend>(const EvaluateOptions&);
