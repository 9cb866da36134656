// Every order of up to three modules as a Sequential, and as the first and the second branch of a sum: a caller may
// write into a module's result, so no backward may read its own module's. Which pairs are fused must not be seen.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE nn_sequences
#include <boost/test/unit_test.hpp>
#include <memory>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;

namespace {

constexpr int width = 3, rows = 6;

using Parameters = std::vector<std::pair<std::string, Parameter<B>*>>;

template <class M>
[[gnu::noinline]] void collect(const std::string& name, M& module, Parameters& all) {
  for_each_leaf(
      module, [&](const std::string& leaf, Parameter<B>& tensor) { all.emplace_back(leaf, &tensor); }, name);
}

/// A Sequential whose type is forgotten: hundreds of them are checked by one instantiation of the checker. What forward
/// keeps for backward stays inside.
class AnySequence {
 public:
  struct Saved {};

  template <class... M>
  explicit AnySequence(std::type_identity<Sequential<B, M...>>) : held_(std::make_unique<Held<M...>>()) {}

  static void visit(AnySequence& self, auto&& visitor) {
    for (const auto& [name, parameter] : self.held_->parameters()) visitor(name, *parameter);
  }

  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved&) const { return held_->forward(pass, x); }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved&, Rows<B> dx = {}) {
    return held_->backward(pass, dy, dx);
  }

 private:
  struct Base {
    virtual ~Base() = default;
    virtual Parameters parameters() = 0;
    virtual Rows<B> forward(const Pass<B>& pass, Rows<B> x) = 0;
    virtual Rows<B> backward(const Pass<B>& pass, Rows<B> dy, Rows<B> dx) = 0;
  };

  template <class... M>
  struct Held final : Base {
    using Modules = Sequential<B, M...>;
    Parameters parameters() override {
      Parameters all;
      [&]<std::size_t... I>(std::index_sequence<I...>) {
        (collect(std::to_string(I), modules.template get<I>(), all), ...);
      }
      (std::index_sequence_for<M...>{});
      return all;
    }
    Rows<B> forward(const Pass<B>& pass, Rows<B> x) override { return modules.forward(pass, x, saved); }
    Rows<B> backward(const Pass<B>& pass, Rows<B> dy, Rows<B> dx) override {
      return modules.backward(pass, dy, saved, dx);
    }

    Modules modules{M(ProjectorConfig{width, width})...};
    typename Modules::Saved saved;
  };

  std::unique_ptr<Base> held_;
};

/// first(x) + second(x), written into the result of the first.
struct Sum {
  struct Saved {
    AnySequence::Saved first, second;
  };

  static void visit(auto& self, auto&& visitor) {
    visitor("first", self.first);
    visitor("second", self.second);
  }
  Rows<B> forward(const Pass<B>& pass, Rows<B> x, Saved& saved) const {
    const auto y = first.forward(pass, x, saved.first);
    pass.backend(ops::Add<B>{.x = second.forward(pass, x, saved.second), .y = y});
    return y;
  }
  Rows<B> backward(const Pass<B>& pass, Rows<B> dy, const Saved& saved, Rows<B> dx = {}) {
    return second.backward(pass, dy, saved.second, first.backward(pass, dy, saved.first, dx));
  }

  AnySequence first, second;
};

template <class M>
void require_right(const std::string& what, M module) {
  B backend(1);
  GradientOptions options;
  options.seed = 2;  // with others a ReLU may be closed everywhere, and what is before it has no gradient
  const auto report = check_module(backend, module, rows, width, options);
  BOOST_TEST(report.ok(), what << '\n' << report.text());
}

using Make = AnySequence (*)();

template <class... M>
AnySequence sequence() {
  return AnySequence(std::type_identity<Sequential<B, M...>>());
}

void check_sequence(const std::string& name, Make make) {
  require_right(name, make());
  require_right(name + ", first in a sum", Sum{make(), sequence<Linear<B>>()});
  require_right(name + ", second in a sum", Sum{sequence<Linear<B>>(), make()});
}

/// Modules with their names, to go through their orders.
template <class... M>
struct List {
  template <std::size_t I>
  using At = std::tuple_element_t<I, std::tuple<M...>>;
  static constexpr std::size_t size = sizeof...(M);
  std::vector<std::string> names;

  void check_singles() const {
    const Make made[] = {&sequence<M>...};
    for (std::size_t i = 0; i < size; ++i) check_sequence(names[i], made[i]);
  }
  void check_pairs() const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      const Make made[] = {&sequence<At<I / size>, At<I % size>>...};
      for (std::size_t i = 0; i < sizeof...(I); ++i) check_sequence(names[i / size] + ' ' + names[i % size], made[i]);
    }
    (std::make_index_sequence<size * size>());
  }
  void check_triples() const {
    [&]<std::size_t... I>(std::index_sequence<I...>) {
      const Make made[] = {&sequence<At<I / size / size>, At<I / size % size>, At<I % size>>...};
      for (std::size_t i = 0; i < sizeof...(I); ++i)
        check_sequence(names[i / size / size] + ' ' + names[i / size % size] + ' ' + names[i % size], made[i]);
    }
    (std::make_index_sequence<size * size * size>());
  }
};

template <class Backend>
using Chosen = Choice<Backend, Linear, Neural, PlainNeural>;

const List<Linear<B>, LayerNorm<B>, RmsNorm<B>, Relu<B>, Gelu<B>, Silu<B>, Mish<B>> modules{
    {"Linear", "LayerNorm", "RmsNorm", "Relu", "Gelu", "Silu", "Mish"}};
// Gelu, Silu and Mish are one template: of three modules, the first stands for all.
const List<Linear<B>, LayerNorm<B>, RmsNorm<B>, Relu<B>, Gelu<B>> kinds{
    {"Linear", "LayerNorm", "RmsNorm", "Relu", "Gelu"}};
const List<Linear<B>, LayerNorm<B>, Relu<B>, Neural<B>, ResidualNeural<B>, Stack<B, Linear, Relu>> projectors{
    {"Linear", "LayerNorm", "Relu", "Neural", "ResidualNeural", "Stack<Linear, Relu>"}};

}  // namespace

BOOST_AUTO_TEST_SUITE(orders)

BOOST_AUTO_TEST_CASE(of_one_and_two) {
  modules.check_singles();
  modules.check_pairs();
}
BOOST_AUTO_TEST_CASE(of_three) { kinds.check_triples(); }
BOOST_AUTO_TEST_CASE(with_projectors) {
  projectors.check_singles();
  projectors.check_pairs();
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(stacks)

// Every projector may stand in a Stack, and then maps widths itself.
BOOST_AUTO_TEST_CASE(of_projectors) {
  const auto check = [&]<class P>(std::type_identity<P>, const std::vector<int>& outs) {
    const ProjectorConfig config{.d_in = width, .d_out = 2, .hidden = HiddenWidth::times(3), .type = "neural"};
    P stack(config);
    std::vector<int> found;
    for_each_leaf(stack, [&](const std::string&, Parameter<B>& tensor) {
      if (!tensor.vector) found.push_back(tensor.rows);
    });
    BOOST_TEST(found == outs, boost::test_tools::per_element());
    require_right("stack", std::move(stack));
  };
  constexpr int e = 3;
  check(std::type_identity<Stack<B, Neural, Neural>>(), {e * width, e * width, e * e * width, 2});
  check(std::type_identity<Stack<B, Neural, Relu, Linear>>(), {e * width, e * width, 2});
  check(std::type_identity<Stack<B, Linear, ResidualPlainNeural>>(), {e * width, 2, e * e * width, 2});
  check(std::type_identity<Stack<B, Chosen, LayerNorm, Chosen>>(), {e * width, e * width, e * e * width, 2});
}

BOOST_AUTO_TEST_SUITE_END()
