// Header-only or compiled: in the first mode each header brings the definitions of what it declares, as inline
// functions. With neural_attention::compiled, which defines NEURAL_ATTENTION_COMPILED, these stand in its static
// library once, and a program reads declarations only.
#pragma once

#include "neural_attention/core/language.hpp"

/// Stands in front of a definition that lies in a folder impl/.
#if defined(NEURAL_ATTENTION_COMPILED)
#define NEURAL_ATTENTION_INLINE
#else
#define NEURAL_ATTENTION_INLINE inline
#endif
