// From what a config says of a projector's hidden width to a number of columns, which depends on the projector's type.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>

#include "neural_attention/core/bisection.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

/// The hidden width of a projector type whose config says none: its member `usual_width`, or twice the input's. A
/// Choice asks the type that `type` names.
template <class P>
HiddenWidth usual_width(const std::string& type) {
  if constexpr (requires { P::usual_width_of(type); })
    return P::usual_width_of(type);
  else if constexpr (requires { P::usual_width; })
    return P::usual_width;
  else
    return HiddenWidth::times(2.0);
}

/// Elements of the matrices of a projector P: its multiplications and additions for one row.
template <class P>
std::int64_t matrix_elements(const ProjectorConfig& config) {
  P projector(config);
  std::int64_t elements = 0;
  for_each_leaf(projector, [&]<class B>(const std::string&, Parameter<B>& tensor) {
    if (!tensor.vector) elements += sizes::product(tensor.rows, tensor.cols);
  });
  return elements;
}

/// The hidden width, in columns, at which the matrices of a projector P of these widths have as near to `elements` as
/// an integer allows. Biases and norms do not count. Where no width makes a difference, 1.
template <class P>
HiddenWidth width_with_elements(ProjectorConfig config, std::int64_t elements) {
  const auto with = [&](std::int64_t columns) {
    config.hidden = HiddenWidth::columns(static_cast<int>(columns));
    return matrix_elements<P>(config);
  };
  const std::int64_t below = 1, above = std::min(sizes::sum(elements, 1), sizes::most);  // each column has one at least
  if (with(below) >= elements || with(below) == with(above)) return HiddenWidth::columns(1);
  return HiddenWidth::columns(static_cast<int>(nearest_integer(elements, below, above, with)));
}

/// `config` with a hidden width that says how many columns there are: the usual one of P, or the matched one, at which
/// its matrices are as large as a linear map's.
template <class P>
ProjectorConfig with_hidden_width(ProjectorConfig config) {
  if (config.hidden.kind() == HiddenWidth::Kind::Usual) config.hidden = usual_width<P>(config.type);
  if (config.hidden.kind() == HiddenWidth::Kind::Matched)
    config.hidden = width_with_elements<P>(config, sizes::product(config.d_in, config.d_out));
  return config;
}

}  // namespace neural_attention
