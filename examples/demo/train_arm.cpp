#include "demo/train_arm.hpp"

namespace examples {

template TrainArm<na::Cpu<float>> train_arm<na::Cpu<float>, na::LinearProjections>;
template TrainArm<na::Cpu<float>> train_arm<na::Cpu<float>, na::paper::marian>;

}  // namespace examples
