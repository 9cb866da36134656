// Identity: y = x, x and y [n, d]: a role without a map. The query's matrix is redundant where the key has one
// (arXiv 2510.23912).
#pragma once

#include "neural_attention/core/pass.hpp"
#include "neural_attention/core/projector_config.hpp"

namespace neural_attention {

template <class B>
class Identity {
 public:
  struct Saved {};

  /// Throws ConfigError if the widths differ.
  explicit Identity(const ProjectorConfig& config) {
    if (config.d_in != config.d_out)
      throw ConfigError("an identity cannot map a width of " + std::to_string(config.d_in) + " to one of " +
                        std::to_string(config.d_out));
  }

  static void visit(auto&, auto&&) {}

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved&) const {
    const auto y = pass.saved.rows(x.rows, x.cols);
    pass.backend(ops::Copy<B>{.x = x, .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved&, Rows<B> dx = {}) {
    if (dx) {
      pass.backend(ops::Add<B>{.x = dy, .y = dx});
      return dx;
    }
    const auto written = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::Copy<B>{.x = dy, .y = written});
    return written;
  }
};

}  // namespace neural_attention
