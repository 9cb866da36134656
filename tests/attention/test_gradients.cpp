// Gradient checks of every projector and of attention in double.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_gradients
#include <boost/test/unit_test.hpp>

#include "attention/attention_module.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/attention/multi_head.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/nn/recompute.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;

namespace {

/// A user's own projector that is no sequence: y = x + W LayerNorm(x) + b, with a path around.
template <class Backend>
class Around {
 public:
  struct Saved {
    typename Linear<Backend>::Saved linear;
    typename LayerNorm<Backend>::Saved norm;
  };

  explicit Around(const ProjectorConfig& config) : norm_(config), linear_(config) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("norm", self.norm_);
    visitor("linear", self.linear_);
  }

  Rows<Backend> forward(const Pass<Backend>& pass, Rows<Backend> x, Saved& saved) const {
    const auto y = linear_.forward(pass, norm_.forward(pass, x, saved.norm), saved.linear);
    pass.backend(ops::Add<B>{.x = x, .y = y});
    return y;
  }

  Rows<Backend> backward(const Pass<Backend>& pass, Rows<Backend> dy, const Saved& saved, Rows<Backend> dx = {}) {
    const GradientTarget<Backend> target(pass, dx, dy.rows, dy.cols);
    const ArenaScope scope(pass.scratch);
    if (target.into == Into::Add)
      pass.backend(ops::Add<B>{.x = dy, .y = target.rows});
    else
      pass.backend(ops::Copy<B>{.x = dy, .y = target.rows});
    norm_.backward(pass, linear_.backward(pass, dy, saved.linear), saved.norm, target.rows);
    return target.rows;
  }

 private:
  LayerNorm<Backend> norm_;
  Linear<Backend> linear_;
};

template <class Backend>
using Deep = Stack<Backend, Linear, Gelu, Linear, Silu, Linear>;
template <class Backend>
using Chosen = Choice<Backend, Linear, SequentialLinear, PlainNeural, Neural>;

template <class P>
void check_projector(const ProjectorConfig& config, std::size_t tensors) {
  B backend(1);
  P projector(config);
  const auto report = check_module(backend, projector, 6, config.d_in);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() == 2 * (1 + tensors));
}

AttentionConfig config_of(int width, int heads, double dropout = 0.0) { return {{}, width, heads, dropout}; }

template <class P, bool cross = false>
void check_attention(const AttentionConfig& config, const std::vector<int>& queries, const std::vector<int>& keys,
                     bool causal, const std::vector<std::string>& zero = {"k_proj.bias"}) {
  B backend(1);
  AttentionModule<B, P, cross> module(config, queries, keys, causal);
  GradientOptions options;
  options.zero = zero;
  const auto report = check_module(backend, module, module.rows(), config.d_model, options);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 2u);
  const auto is_zero = [](const TensorGradient& tensor) { return tensor.zero_expected; };
  BOOST_TEST(std::count_if(report.tensors.begin(), report.tensors.end(), is_zero) == 2 * std::ssize(zero));
}

/// A projector, and its parameters that shift all keys alike, which changes no probability.
template <template <class> class P>
struct Of {
  template <class Backend>
  using Type = P<Backend>;
  static std::vector<std::string> zero() {
    if constexpr (std::is_same_v<P<B>, LowRank<B>> || std::is_same_v<P<B>, DeepLinear<B>>)
      return {"k_proj.0.bias", "k_proj.1.bias"};
    else if constexpr (std::is_same_v<P<B>, GatedSilu<B>> || std::is_same_v<P<B>, GatedGelu<B>>)
      return {"k_proj.output.bias"};
    else if constexpr (std::is_same_v<P<B>, RationalNeural<B>>)
      return {"k_proj.2.bias"};
    else
      return {};
  }
};
using Further = std::tuple<Of<Identity>, Of<LowRank>, Of<DeepLinear>, Of<LinearSilu>, Of<LinearGelu>, Of<GatedSilu>,
                           Of<GatedGelu>, Of<GluSilu>, Of<NonlinearQuery>, Of<Pattention>, Of<RationalNeural>>;

const std::vector<int> ragged{3, 1, 5};
const std::vector<int> memory_lengths{2, 4, 1};

}  // namespace

BOOST_AUTO_TEST_SUITE(projectors)

BOOST_AUTO_TEST_CASE(linear) {
  check_projector<Linear<B>>({4, 5}, 2);
  check_projector<SequentialLinear<B>>({4, 5}, 2);
}
BOOST_AUTO_TEST_CASE(neural) { check_projector<Neural<B>>({4, 5}, 6); }
BOOST_AUTO_TEST_CASE(plain_neural) { check_projector<PlainNeural<B>>({4, 5}, 4); }
BOOST_AUTO_TEST_CASE(expansion) {
  check_projector<Neural<B>>({4, 3, HiddenWidth::times(3)}, 6);
  check_projector<PlainNeural<B>>({4, 4, HiddenWidth::times(1)}, 4);
}
BOOST_AUTO_TEST_CASE(choice) {
  ProjectorConfig config{4, 4};
  constexpr std::size_t tensors[] = {2, 2, 4, 6};
  for (std::size_t i = 0; i < std::size(tensors); ++i) {
    config.type = Chosen<B>::names[i];
    check_projector<Chosen<B>>(config, tensors[i]);
  }
  for (const std::string_view name : AnyProjector<B>::names) {
    config.type = name;
    B backend(1);
    AnyProjector<B> projector(with_hidden_width<AnyProjector<B>>(config));
    const auto report = check_module(backend, projector, 6, 4, {}, Ragged(std::vector{4, 2}));
    BOOST_TEST(report.ok(), name << ": " << report.text());
  }
}
BOOST_AUTO_TEST_CASE(of_other_works) {
  check_projector<Identity<B>>({4, 4}, 0);
  check_projector<LowRank<B>>({4, 5, HiddenWidth::times(0.5)}, 4);
  check_projector<DeepLinear<B>>({4, 3, HiddenWidth::times(2)}, 4);
  check_projector<LinearSilu<B>>({4, 5}, 2);
  check_projector<LinearGelu<B>>({4, 5}, 2);
  check_projector<GatedSilu<B>>({4, 5, HiddenWidth::columns(3)}, 6);
  check_projector<GatedGelu<B>>({5, 4, HiddenWidth::times(0.5)}, 6);
  check_projector<GluSilu<B>>({4, 5}, 2);
  check_projector<GluSilu<B>>({5, 1}, 2);
  check_projector<NonlinearQuery<B>>({4, 4, HiddenWidth::times(0.5)}, 4);
  check_projector<Pattention<B>>({4, 5, HiddenWidth::columns(7)}, 2);
  check_projector<RationalNeural<B>>({4, 5}, 6);
  check_projector<IdentityResidual<B, Neural, 3>>({4, 4}, 6);
  BOOST_CHECK_THROW(Identity<B>({4, 5}), ConfigError);
  BOOST_CHECK_THROW(NonlinearQuery<B>({4, 5}), ConfigError);
}
BOOST_AUTO_TEST_CASE(without_biases) {
  ProjectorConfig config{4, 5, HiddenWidth::columns(3)};
  config.bias = false;
  check_projector<Linear<B>>(config, 1);
  check_projector<Neural<B>>(config, 3);
  check_projector<GatedSilu<B>>(config, 3);
  check_projector<GluSilu<B>>(config, 1);
}
BOOST_AUTO_TEST_CASE(own) {
  check_projector<Deep<B>>({4, 4, HiddenWidth::times(3)}, 6);
  check_projector<Around<B>>({4, 4}, 4);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(attention)

BOOST_AUTO_TEST_CASE(self) { check_attention<LinearProjections>(config_of(6, 2), ragged, ragged, false); }
BOOST_AUTO_TEST_CASE(causal) { check_attention<LinearProjections>(config_of(6, 3), ragged, ragged, true); }
BOOST_AUTO_TEST_CASE(cross) {
  check_attention<LinearProjections, true>(config_of(6, 2), ragged, memory_lengths, false);
}

BOOST_AUTO_TEST_CASE(with_dropout) {
  check_attention<LinearProjections>(config_of(6, 2, 0.3), ragged, ragged, false);
  check_attention<LinearProjections>(config_of(6, 2, 0.3), ragged, ragged, true);
  check_attention<LinearProjections, true>(config_of(6, 2, 0.3), ragged, memory_lengths, false);
}

BOOST_AUTO_TEST_CASE_TEMPLATE(projectors_of_other_works, P, Further) {
  using Everywhere = Projections<P::template Type, P::template Type, P::template Type, P::template Type>;
  for (const double dropout : {0.0, 0.2}) {
    check_attention<Everywhere>(config_of(6, 2, dropout), ragged, ragged, false, P::zero());
    check_attention<Everywhere>(config_of(6, 3, dropout), ragged, ragged, true, P::zero());
    check_attention<Everywhere, true>(config_of(6, 2, dropout), ragged, memory_lengths, false, P::zero());
  }
}

BOOST_AUTO_TEST_CASE(paper_projectors) {
  check_attention<paper::marian>(config_of(4, 2, 0.2), ragged, ragged, true, {"k_proj.3.bias"});
  check_attention<paper::marian, true>(config_of(4, 2), ragged, memory_lengths, false, {"k_proj.3.bias"});
  check_attention<paper::roberta>(config_of(4, 2), ragged, ragged, false, {"k_proj.2.bias"});
  check_attention<paper::marian_baseline>(config_of(4, 2), ragged, ragged, true, {"k_proj.0.bias"});
  check_attention<paper::roberta_baseline>(config_of(4, 2), ragged, ragged, false, {"k_proj.0.bias"});
}

// All that shifts every key alike leaves the probabilities as they are.
BOOST_AUTO_TEST_CASE(own_projector) {
  check_attention<Projections<Around, Around, Deep, Linear>>(config_of(4, 2), ragged, ragged, true,
                                                             {"k_proj.linear.bias", "k_proj.norm.bias"});
}

BOOST_AUTO_TEST_CASE(one_head_and_heads_of_one_column) {
  check_attention<LinearProjections>(config_of(4, 1), ragged, ragged, true);
  check_attention<LinearProjections>(config_of(3, 3), ragged, ragged, false);
}

// Longer than a tile of 64 queries and one of 128 keys, with a remainder.
BOOST_AUTO_TEST_CASE(longer_than_a_tile) {
  check_attention<LinearProjections>(config_of(2, 1), {70, 1, 131}, {70, 1, 131}, true);
  check_attention<LinearProjections>(config_of(2, 1, 0.2), {3, 133}, {3, 133}, false);
  check_attention<LinearProjections, true>(config_of(2, 2, 0.1), {66, 2}, {3, 260}, false);
}

BOOST_AUTO_TEST_CASE(recomputed) {
  B backend(1);
  using Module = AttentionModule<B, paper::marian>;
  Recompute<B, Module> module(Module(config_of(4, 2, 0.2), ragged, ragged, true));
  GradientOptions options;
  options.zero = {"k_proj.3.bias"};
  const auto report = check_module(backend, module, 9, 4, options);
  BOOST_TEST(report.ok(), report.text());
}

BOOST_AUTO_TEST_SUITE_END()
