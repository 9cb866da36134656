// Checks the C++ standard. Every header includes this one before its own code, so that an older standard gives one
// error and not a thousand.
#pragma once

#if __cplusplus < 202002L && (!defined(_MSVC_LANG) || _MSVC_LANG < 202002L)
#error "NeuralAttention needs C++20: compile with -std=c++20 or newer"
#include <NeuralAttention needs C++20>  // not found: the compiler stops here
#endif
