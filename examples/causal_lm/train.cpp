#include "causal_lm/train.hpp"

template int examples::train<examples::Backend>(const TrainOptions&);
