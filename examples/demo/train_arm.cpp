#include "demo/train_arm.hpp"

namespace examples {

template ArmResult train_arm<na::Cpu<float>, na::LinearProjections>(na::Cpu<float>&, const std::string&,
                                                                    const std::string&, const DemoCorpus&,
                                                                    const na::text::MarianTokenizer&,
                                                                    const DemoSettings&, const std::function<bool()>&);
template ArmResult train_arm<na::Cpu<float>, na::paper::marian>(na::Cpu<float>&, const std::string&, const std::string&,
                                                                const DemoCorpus&, const na::text::MarianTokenizer&,
                                                                const DemoSettings&, const std::function<bool()>&);

}  // namespace examples
