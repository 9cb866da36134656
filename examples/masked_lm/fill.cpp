#include "masked_lm/fill.hpp"

template int examples::fill<examples::Backend>(const FillOptions&);
