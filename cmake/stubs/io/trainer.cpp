// Compiles the files of training runs once, for programs that link neural_attention::compiled.
#include "neural_attention/trainer/impl/checkpoint_folder.hpp"
#include "neural_attention/trainer/impl/run_folder.hpp"
#include "neural_attention/trainer/impl/run_identity.hpp"
#include "neural_attention/trainer/impl/training_position.hpp"
