#include "causal_lm/generate.hpp"

template int examples::generate<examples::Backend>(const GenerateOptions&);
