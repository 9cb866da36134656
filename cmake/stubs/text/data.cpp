// Compiles the readers of corpora once, for programs that link neural_attention::compiled.
#include "neural_attention/text/data/impl/lines.hpp"
#include "neural_attention/text/data/impl/token_file.hpp"
