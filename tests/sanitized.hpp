// Whether this build runs under AddressSanitizer, ThreadSanitizer or MemorySanitizer, which replace malloc and take
// terabytes of address space.
#pragma once

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define NEURAL_ATTENTION_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define NEURAL_ATTENTION_SANITIZED 1
#endif
#endif
#if !defined(NEURAL_ATTENTION_SANITIZED)
#define NEURAL_ATTENTION_SANITIZED 0
#endif
