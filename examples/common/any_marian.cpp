#include "common/any_model.hpp"

EXAMPLES_MODEL(template, Marian, MarianOn, MarianConfig, TranslationBatch, Backend);
EXAMPLES_GENERATOR(template, MarianOn, MarianConfig, TranslationBatch, Backend);
EXAMPLES_MODEL_FILES(template, AnyMarian, MarianConfig);
