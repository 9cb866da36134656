// expect: a backend needs operator()(const Op&) for every operation of ops::AllOperations
// A backend that lacks an operation is refused in one sentence, and the message names the operation.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

struct WithoutDropout : na::Cpu<float> {
  using na::Cpu<float>::operator();
  void operator()(const na::ops::DropoutOf<float>&) = delete;
};

template struct na::CheckBackend<WithoutDropout>;
