#include "translation/translate.hpp"

template int examples::translate<examples::Backend>(const TranslateOptions&);
