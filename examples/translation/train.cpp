#include "translation/train.hpp"

template int examples::train<examples::Backend>(const TrainOptions&);
