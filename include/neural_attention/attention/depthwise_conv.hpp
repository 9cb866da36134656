// DepthwiseConv: y_t = Σ_j kernel_j ⊙ Inner(x)_{t + ahead - j}, a convolution along the sequence after a projector,
// one kernel a column, as after query, key and value in Primer (So et al. 2021, arXiv 2109.08668). There it is causal:
// ahead is 0, and kernel_j looks j tokens back. x [n, d_in], y [n, d_out], kernel [Taps, d_out], no bias.
#pragma once

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <vector>

#include "neural_attention/attention/cache.hpp"
#include "neural_attention/attention/hidden_widths.hpp"
#include "neural_attention/attention/sequence_projector.hpp"

namespace neural_attention {

/// The tokens that a convolution reads: the token itself and earlier ones, or equally many on both sides.
enum class Sees { Past, BothSides };

/// The last `count` rows [count, width] of each live row's sequence; zeros for those that it lacks.
template <class B>
class LastRows {
 public:
  LastRows() = default;
  LastRows(B& backend, int rows, int slots, int count, int width) : count_(count) {
    for (auto* const half : {&now_, &next_}) {
      half->memory = backend.allocate(static_cast<std::size_t>(sizes::product(slots, sizes::product(count, width))) *
                                      sizeof(Scalar));
      half->rows = {static_cast<Scalar*>(half->memory.data()), slots * count, width};
    }
    backend(ops::Fill<B>{.x = now_.rows.slice(0, rows * count), .value = Scalar(0)});
  }

  Rows<B> of(int row) const { return now_.rows.slice(row * count_, count_); }

  void reorder(B& backend, std::span<const int> parents) {
    for (std::size_t i = 0; i < parents.size(); ++i)
      copies_.add(of(parents[i]), next_.rows.slice(static_cast<int>(i) * count_, count_));
    copies_.run(backend);
    std::swap(now_, next_);
  }

 private:
  using Scalar = typename B::Scalar;
  struct Half {
    typename B::Memory memory = {};
    Rows<B> rows = {};
  };

  int count_ = 0;
  Half now_, next_;
  PendingCopies<B> copies_;
};

/// `Inner` is any projector that sees its own rows alone.
template <class B, template <class> class Inner, int Taps = 3, Sees sees = Sees::Past>
class DepthwiseConv {
  static_assert(Taps > 0 && (sees == Sees::Past || Taps % 2 == 1), "a kernel that sees both sides has an odd length");
  static_assert(!SeesSequences<Inner<B>>, "the projector inside a DepthwiseConv sees its own rows alone");

 public:
  static constexpr bool maps_width = true;
  static constexpr bool sees_sequences = true;
  static constexpr int ahead = sees == Sees::Past ? 0 : Taps / 2;
  static HiddenWidth usual_width_of(const std::string& type) { return usual_width<Inner<B>>(type); }

  struct Saved {
    typename Inner<B>::Saved projector;
    Rows<B> mapped;
  };

  /// The kernels begin as the authors' code has them: 0.5 for the token itself, 0.5 / Taps for the others.
  explicit DepthwiseConv(const ProjectorConfig& config)
      : projector(config), kernel(Taps, config.d_out, Initial::constant(0.5 / Taps).with_row(ahead, 0.5)) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("projector", self.projector);
    visitor("kernel", self.kernel);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved, const Ragged& sequences) const {
    saved.mapped = projector.forward(pass, x, saved.projector);
    const auto y = pass.saved.rows(x.rows, kernel.cols);
    pass.backend(ops::DepthwiseConvolution<B>{
        .x = saved.mapped, .kernel = kernel.value, .ahead = ahead, .sequences = sequences, .y = y});
    return y;
  }

  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx, const Ragged& sequences) {
    const auto mark = pass.scratch.mark();
    const auto dmapped = pass.scratch.rows(dy.rows, dy.cols);
    pass.backend(ops::DepthwiseConvolutionBackward<B>{.dy = dy,
                                                      .x = saved.mapped,
                                                      .kernel = kernel.value,
                                                      .ahead = ahead,
                                                      .sequences = sequences,
                                                      .dx = dmapped,
                                                      .dkernel = kernel.gradient});
    return settle(pass, mark, dx, projector.backward(pass, dmapped, saved.projector, dx));
  }

  /// The last Taps - 1 rows of each live row, as the projector inside mapped them.
  struct State {
    LastRows<B> last;
    Ragged longer;  ///< the runs with these rows in front
    PendingCopies<B> copies;

    void reorder(B& backend, std::span<const int> parents) {
      if constexpr (Taps > 1) last.reorder(backend, parents);
    }
  };

  State begin_decoding(B& backend, int rows, int slots) const {
    State state;
    if constexpr (Taps > 1) state.last = LastRows<B>(backend, rows, slots, Taps - 1, kernel.cols);
    return state;
  }

  Rows<B> decode(const Pass<B>& pass, Rows<B> x, State& state, const Ragged& runs) const {
    constexpr int before = Taps - 1;
    Saved saved;
    if constexpr (before == 0) {
      return forward(pass, x, saved, runs);
    } else {
      const auto mapped = projector.forward(pass, x, saved.projector);
      state.longer.clear();
      for (int i = 0; i < runs.sequences(); ++i) state.longer.push(before + runs.length(i));
      const auto seen = pass.saved.rows(state.longer.total(), kernel.cols),
                 convolved = pass.saved.rows(seen.rows, seen.cols), y = pass.saved.rows(x.rows, kernel.cols);
      // Copies between the rows of each run, and those that lie in front of or at the end of the longer one.
      const auto copy_each = [&](auto&& pair_of) {
        for (int i = 0; i < runs.sequences(); ++i) pair_of(i, state.longer.begin(i), runs.begin(i), runs.length(i));
        state.copies.run(pass.backend);
      };
      copy_each([&](int i, int at, int run, int count) {
        state.copies.add(state.last.of(i), seen.slice(at, before));
        if (count > 0) state.copies.add(mapped.slice(run, count), seen.slice(at + before, count));
      });
      pass.backend(ops::DepthwiseConvolution<B>{
          .x = seen, .kernel = kernel.value, .ahead = 0, .sequences = state.longer, .y = convolved});
      copy_each([&](int i, int at, int run, int count) {
        if (count == 0) return;
        state.copies.add(convolved.slice(at + before, count), y.slice(run, count));
        state.copies.add(seen.slice(at + count, before), state.last.of(i));
      });
      return y;
    }
  }

  /// A warm start: the projector inside begins as the map, and the kernels pass each token on.
  auto start_from(const auto& map, auto& starter) {
    for (int tap = 0; tap < Taps; ++tap) starter.fill(kernel.master.slice(tap, 1), tap == ahead ? 1.0 : 0.0);
    return starter.start(projector, map);
  }

  /// Why it cannot stand there; empty if it can.
  static std::string fault_at(const ProjectorPlace& place) {
    if (sees == Sees::Past || !place.grows()) return {};
    return "a convolution that sees both sides would see tokens that are still to be decoded";
  }

  Inner<B> projector;
  Parameter<B> kernel;
};

}  // namespace neural_attention
