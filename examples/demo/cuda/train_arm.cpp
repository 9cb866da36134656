// The arms of the demo on the GPU.
#include "demo/train_arm.hpp"

#include "neural_attention/cuda.hpp"

namespace examples {

template ArmResult train_arm<na::Cuda<float>, na::LinearProjections>(na::Cuda<float>&, const std::string&,
                                                                     const std::string&, const DemoCorpus&,
                                                                     const na::text::MarianTokenizer&,
                                                                     const DemoSettings&, const std::function<bool()>&);
template ArmResult train_arm<na::Cuda<float>, na::paper::marian>(na::Cuda<float>&, const std::string&,
                                                                 const std::string&, const DemoCorpus&,
                                                                 const na::text::MarianTokenizer&, const DemoSettings&,
                                                                 const std::function<bool()>&);

}  // namespace examples
