// expect: a Stack needs at least one module that maps widths, such as Linear or a projector
// A Stack of modules that all keep their width is refused in one sentence.
#include <neural_attention/neural_attention.hpp>

namespace na = neural_attention;

template class na::Stack<na::Cpu<float>, na::LayerNorm, na::Relu>;
