// expect: a projector in a Choice needs a name: specialise neural_attention::ProjectorName for it
// A projector that a Choice cannot find by its name is refused in one sentence that says what is missing.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

template <class B>
using Deep = na::Stack<B, na::Linear, na::Gelu, na::Linear>;
template class na::Choice<na::Cpu<float>, na::Linear, Deep>;
