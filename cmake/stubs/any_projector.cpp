// Instantiates the projectors of AnyProjector once, for programs that link neural_attention::compiled.
#include "neural_attention/attention/warm_start.hpp"

namespace neural_attention {

template struct ChoiceCode<AnyProjector<Cpu<float>>>;
template WarmStart start_chosen(WarmStarter<Cpu<float>>&, AnyProjector<Cpu<float>>&, const LinearMap&);

}  // namespace neural_attention
