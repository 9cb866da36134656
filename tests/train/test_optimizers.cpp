// Which tensors the optimizers move and how fast; their arithmetic is compared with PyTorch's in
// tests/nn/test_module_goldens.cpp.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE train_optimizers
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <variant>
#include <vector>

#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/train/optimizers.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<double>;
const StepOutcome unclipped;

struct Model {
  Parameter<B> a{4, 4, Initial::normal(1.0)};  // fills its 16 places exactly
  Parameter<B> b{3, Initial::normal(1.0)};
  Parameter<B> c{2, 5, Initial::normal(1.0)};
  Parameter<B> d{17, Initial::normal(1.0)};
  Buffer<B> fixed{3, Initial::constant(2.0)};

  static void visit(auto& self, auto&& visitor) {
    visitor("layers.0.a.weight", self.a);
    visitor("layers.0.b.bias", self.b);
    visitor("layers.1.c.weight", self.c);
    visitor("layers.1.d.bias", self.d);
    visitor("fixed", self.fixed);
  }
};

struct Fixture {
  explicit Fixture(AdamOptions options)
      : store(backend, model, Purpose::Training), adam(backend, store, std::move(options)) {
    store.initialise(3);
  }

  std::vector<double> values(const std::string& name) {
    const auto& entry = *store.find(name);
    std::vector<double> host(static_cast<std::size_t>(entry.size()));
    backend(ops::Download<B>{.x = store.value(entry), .values = host});
    return host;
  }
  RowsOf<double> moment(std::size_t i) const { return adam.moments().at(i).numbers; }
  std::vector<double> moments(RowsOf<double> moment, const std::string& name) {
    const auto& entry = *store.find(name);
    std::vector<double> host(static_cast<std::size_t>(entry.size()));
    backend(ops::Download<B>{.x = {moment.data + entry.offset, entry.rows, entry.cols}, .values = host});
    return host;
  }
  /// `count` steps with the gradients `sign` · 1, 2, 3 … of every tensor.
  void steps(int count, double learning_rate = 0.1, double sign = 1.0) {
    for (const auto& entry : store.entries()) {
      if (!entry.trained) continue;
      std::vector<double> gradient(static_cast<std::size_t>(entry.size()));
      for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] = sign * double(i + 1);
      backend(ops::Upload<B>{.values = gradient, .x = store.gradient(entry)});
    }
    for (int i = 0; i < count; ++i) adam.update(store, learning_rate, &unclipped);
  }

  B backend{1};
  Model model;
  ParameterStore<B> store;
  Adam<B> adam;
};

/// How far each tensor's elements went in one step; Adam's first step is the rate, whatever the gradient's size.
double moved(const AdamOptions& options, const std::string& name) {
  Fixture fixture(options);
  const auto before = fixture.values(name);
  fixture.steps(1);
  const auto after = fixture.values(name);
  double distance = before[0] - after[0];
  for (std::size_t i = 0; i < before.size(); ++i)
    BOOST_TEST(std::abs(before[i] - after[i] - distance) < 1e-8, name << " moved unevenly");
  return distance;
}

bool near(double a, double b) { return std::abs(a - b) < 1e-8; }

const std::vector<std::string> all{"layers.0.a.weight", "layers.0.b.bias", "layers.1.c.weight", "layers.1.d.bias"};

}  // namespace

BOOST_AUTO_TEST_SUITE(patterns)

BOOST_AUTO_TEST_CASE(match) {
  static_assert(matches("", ""));
  static_assert(!matches("", "a"));
  static_assert(matches("*", ""));
  static_assert(matches("*", "model.shared.weight"));
  static_assert(matches("model.*.weight", "model.shared.weight"));
  static_assert(matches("model.*.weight", "model.encoder.layers.0.fc1.weight"));
  static_assert(!matches("model.*.weight", "model.encoder.layers.0.fc1.bias"));
  static_assert(!matches("model.*.weight", "model.weight"));
  static_assert(matches("layers.?.a", "layers.0.a"));
  static_assert(!matches("layers.?.a", "layers.10.a"));
  static_assert(!matches("?", ""));
  static_assert(matches("a?c", "abc"));
  static_assert(!matches("abc", "abcd"));
  static_assert(!matches("abcd", "abc"));
  static_assert(matches("*a*b*", "xxaxxbxx"));
  static_assert(!matches("*a*b*", "xxbxxaxx"));
  static_assert(matches("**", "a"));
  static_assert(matches("*aab", "aaaab"));
  static_assert(!matches("Layers*", "layers"));
  BOOST_TEST(matches("*_proj.?.weight", "model.encoder.layers.0.self_attn.k_proj.0.weight"));
}

BOOST_AUTO_TEST_CASE(that_match_nothing_are_an_error) {
  const auto build = [](std::vector<RateRule> rules) {
    AdamOptions options;
    options.rates = std::move(rules);
    Fixture fixture(options);
  };
  for (const std::string bad : {"layer.*", "fixed", "", "layers.0.a"})
    BOOST_CHECK_EXCEPTION(build({{"*", 1.0}, {bad, 0.5}}), ConfigError, [&](const ConfigError& error) {
      return std::string(error.what()).find("'" + bad + "'") != std::string::npos;
    });
  BOOST_CHECK_NO_THROW(build({{"layers.0.*", 0.5}, {"*", 1.0}}));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(rates)

BOOST_AUTO_TEST_CASE(without_rules_all_move_alike) {
  for (const auto& name : all) BOOST_TEST(near(moved({}, name), 0.1));
}

BOOST_AUTO_TEST_CASE(are_factors_and_the_last_match_counts) {
  AdamOptions options;
  options.rates = {{"*", 0.5}, {"layers.1.*", 2.0}, {"*.d.bias", 0.25}};
  BOOST_TEST(near(moved(options, all[0]), 0.05));
  BOOST_TEST(near(moved(options, all[1]), 0.05));
  BOOST_TEST(near(moved(options, all[2]), 0.2));
  BOOST_TEST(near(moved(options, all[3]), 0.025));
}

// A frozen tensor lies between two that are not: a pass over both must not touch it.
BOOST_AUTO_TEST_CASE(of_zero_freeze_bit_for_bit) {
  for (const auto& frozen : all) {
    AdamOptions options;
    options.weight_decay = 0.1;
    options.rates = {{frozen, 0.0}};
    Fixture fixture(options), free(AdamOptions{.weight_decay = 0.1});
    std::vector<std::vector<double>> before;
    for (const auto& name : all) before.push_back(fixture.values(name));
    fixture.steps(3);
    free.steps(3);
    for (std::size_t i = 0; i < all.size(); ++i) {
      if (all[i] == frozen) {
        BOOST_TEST((fixture.values(all[i]) == before[i]));
        const std::vector<double> zeros(before[i].size(), 0.0);
        BOOST_TEST((fixture.moments(fixture.moment(0), all[i]) == zeros));
        BOOST_TEST((fixture.moments(fixture.moment(1), all[i]) == zeros));
      } else {
        BOOST_TEST((fixture.values(all[i]) != before[i]));
        BOOST_TEST((fixture.values(all[i]) == free.values(all[i])));
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(leave_buffers_and_gaps_alone) {
  Fixture fixture(AdamOptions{.weight_decay = 0.5});
  fixture.backend(ops::Fill<B>{.x = fixture.store.gradients(), .value = 0.0});
  fixture.steps(4);
  BOOST_TEST((fixture.values("fixed") == std::vector<double>(3, 2.0)));
  std::vector<double> flat(static_cast<std::size_t>(fixture.store.values().cols));
  fixture.backend(ops::Download<B>{.x = fixture.store.values(), .values = flat});
  std::vector<bool> gap(flat.size(), true);
  for (const auto& entry : fixture.store.entries())
    for (std::ptrdiff_t i = 0; i < entry.size(); ++i) gap[static_cast<std::size_t>(entry.offset + i)] = false;
  long gaps = 0;
  for (std::size_t i = 0; i < flat.size(); ++i)
    if (gap[i]) {
      ++gaps;
      BOOST_TEST(flat[i] == 0.0);
    }
  BOOST_TEST(gaps > 10);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(weight_decay)

// AdamW with a gradient of zero is pure decay: w ← w · (1 - rate · decay), on matrices only.
BOOST_AUTO_TEST_CASE(shrinks_matrices_only) {
  Fixture fixture(AdamOptions{.weight_decay = 0.5});
  std::vector<std::vector<double>> before;
  for (const auto& name : all) before.push_back(fixture.values(name));
  fixture.steps(1, 0.1, 0.0);
  for (std::size_t t = 0; t < all.size(); ++t) {
    const auto after = fixture.values(all[t]);
    const double factor = all[t].ends_with(".weight") ? 0.95 : 1.0;
    for (std::size_t i = 0; i < after.size(); ++i) BOOST_TEST(std::abs(after[i] - factor * before[t][i]) < 1e-15);
  }
}

// With a gradient, AdamW adds its decay to Adam's step, while an L2 term goes through the moments.
BOOST_AUTO_TEST_CASE(differs_between_adam_and_adamw) {
  const std::string matrix = all[2], bias = all[3];
  Fixture plain(AdamOptions{}), decoupled(AdamOptions{.weight_decay = 0.5}),
      coupled(AdamOptions{.weight_decay = 0.5, .decoupled = false});
  const auto before = plain.values(matrix);
  for (auto* const fixture : {&plain, &decoupled, &coupled}) fixture->steps(1);
  const auto without = plain.values(matrix), adamw = decoupled.values(matrix), adam = coupled.values(matrix);
  const auto momentum = coupled.moments(coupled.moment(0), matrix);
  for (std::size_t i = 0; i < before.size(); ++i) {
    BOOST_TEST(std::abs(adamw[i] - (without[i] - 0.1 * 0.5 * before[i])) < 1e-12);
    const double gradient = double(i + 1) + 0.5 * before[i];
    BOOST_TEST(std::abs(momentum[i] - 0.1 * gradient) < 1e-12);
    BOOST_TEST(std::abs(adam[i] - (before[i] - 0.1 * gradient / (std::abs(gradient) + 1e-8))) < 1e-12);
  }
  BOOST_TEST((decoupled.moments(decoupled.moment(0), matrix) == plain.moments(plain.moment(0), matrix)));
  BOOST_TEST((coupled.values(bias) == plain.values(bias)));
  BOOST_TEST((decoupled.values(bias) == plain.values(bias)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(state)

BOOST_AUTO_TEST_CASE(counts_steps_and_the_bias_correction_follows) {
  Fixture fixture({});
  BOOST_TEST(fixture.adam.steps() == 0);
  fixture.steps(3);
  BOOST_TEST(fixture.adam.steps() == 3);
  // The same moments with another count give another step.
  Fixture other({});
  other.steps(2);
  other.adam.set_steps(20);
  other.steps(1);
  BOOST_TEST(other.adam.steps() == 21);
  BOOST_TEST((other.values(all[0]) != fixture.values(all[0])));
}

BOOST_AUTO_TEST_CASE(has_no_step_at_rate_zero) {
  Fixture fixture({});
  const auto before = fixture.values(all[0]);
  fixture.steps(2, 0.0);
  BOOST_TEST((fixture.values(all[0]) == before));
  BOOST_TEST((fixture.moments(fixture.moment(0), all[0]) != std::vector<double>(16, 0.0)));
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sgd)

namespace {

struct SgdFixture {
  explicit SgdFixture(SgdOptions options)
      : store(backend, model, Purpose::Training), sgd(backend, store, std::move(options)) {
    store.initialise(3);
    for (const auto& entry : store.entries())
      if (entry.trained) backend(ops::Fill<B>{.x = store.gradient(entry), .value = 1.0});
  }
  std::vector<double> values(const std::string& name) {
    const auto& entry = *store.find(name);
    std::vector<double> host(static_cast<std::size_t>(entry.size()));
    backend(ops::Download<B>{.x = store.value(entry), .values = host});
    return host;
  }

  B backend{1};
  Model model;
  ParameterStore<B> store;
  Sgd<B> sgd;
};

}  // namespace

BOOST_AUTO_TEST_CASE(keeps_to_rules_and_decays_matrices_only) {
  SgdOptions options;
  options.momentum = 0.5;
  options.weight_decay = 0.25;
  options.rates = {{"*.c.*", 2.0}, {"*.b.bias", 0.0}};
  SgdFixture fixture(options);
  std::vector<std::vector<double>> before;
  for (const auto& name : all) before.push_back(fixture.values(name));
  fixture.sgd.update(fixture.store, 0.1, &unclipped);
  for (std::size_t t = 0; t < all.size(); ++t) {
    const auto after = fixture.values(all[t]);
    const double rate = t == 1 ? 0.0 : t == 2 ? 0.2 : 0.1;
    for (std::size_t i = 0; i < after.size(); ++i) {
      const double slope = 1.0 + (all[t].ends_with(".weight") ? 0.25 * before[t][i] : 0.0);
      BOOST_TEST(std::abs(after[i] - (before[t][i] - rate * slope)) < 1e-14);
    }
  }
  // The second step carries half of the first: 1 + 0.5.
  const auto once = fixture.values("layers.1.d.bias");
  fixture.sgd.update(fixture.store, 0.1, &unclipped);
  const auto twice = fixture.values("layers.1.d.bias");
  for (std::size_t i = 0; i < once.size(); ++i) BOOST_TEST(std::abs(once[i] - twice[i] - 0.15) < 1e-14);
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense) {
  for (const double momentum : {-0.1, 1.0, std::nan("")})
    BOOST_CHECK_THROW(SgdFixture({.momentum = momentum}), ConfigError);
  BOOST_CHECK_THROW(SgdFixture({.momentum = 0.0, .nesterov = true}), ConfigError);
  BOOST_CHECK_THROW(SgdFixture({.rates = {{"nothing", 1.0}}}), ConfigError);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(lion)

// Of a constant gradient all steps are alike; of one that turns, the momentum decides how long the old way is kept.
BOOST_AUTO_TEST_CASE(goes_by_the_sign_of_momentum_and_gradient) {
  B backend{1};
  Model model;
  ParameterStore<B> store(backend, model, Purpose::Training);
  store.initialise(3);
  Lion<B> optimizer(backend, store, {.rates = {{"*.c.*", 2.0}}});
  const std::vector<std::string> tensors = {"layers.0.a.weight", "layers.1.c.weight"};
  const auto first_of = [&](const std::string& name) {
    std::vector<double> host(static_cast<std::size_t>(store.find(name)->size()));
    backend(ops::Download<B>{.x = store.value(*store.find(name)), .values = host});
    return host.front();
  };
  const auto step = [&](double gradient) {
    for (const auto& entry : store.entries())
      if (entry.trained) backend(ops::Fill<B>{.x = store.gradient(entry), .value = gradient});
    const double a = first_of(tensors[0]), c = first_of(tensors[1]);
    optimizer.update(store, 0.1, &unclipped);
    const double moved = first_of(tensors[0]) - a;
    BOOST_TEST(std::abs(first_of(tensors[1]) - c - 2 * moved) < 1e-14);
    return moved;
  };
  BOOST_TEST(step(0.0) == 0.0);  // sign(0)
  for (const double size : {1e-300, 3.0, 1e-9, 1e9}) BOOST_TEST(near(step(size), -0.1));
  // m = 1e7 and more: the step turns with a gradient that is 9 times as large.
  BOOST_TEST(near(step(-1e6), -0.1));
  BOOST_TEST(near(step(-1e9), 0.1));
  BOOST_TEST(optimizer.steps() == 7);
  BOOST_TEST((optimizer.name() == "lion" && optimizer.moments().size() == 1u));
  BOOST_TEST(optimizer.moments().front().name == "momentum");
}

BOOST_AUTO_TEST_CASE(options_that_make_no_sense) {
  B backend{1};
  Model model;
  ParameterStore<B> store(backend, model, Purpose::Training);
  for (const double bad : {-0.1, 1.0, std::nan("")}) {
    BOOST_CHECK_THROW(Lion<B>(backend, store, {.beta1 = bad}), ConfigError);
    BOOST_CHECK_THROW(Lion<B>(backend, store, {.beta2 = bad}), ConfigError);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(list)

BOOST_AUTO_TEST_CASE(gives_options_by_name) {
  OptionsOfAll<> all;
  std::get<AdamOptions>(all.options) = {.beta1 = 0.5, .weight_decay = 0.25};
  std::get<SgdOptions>(all.options) = {.momentum = 0.75, .nesterov = true, .weight_decay = 7.0};
  const auto adamw = std::get<AdamOptions>(all.of("adamw")), adam = std::get<AdamOptions>(all.of("adam"));
  BOOST_TEST((adamw.decoupled && !adam.decoupled));
  for (const auto& how : {adamw, adam})
    BOOST_TEST((how.beta1 == 0.5 && how.beta2 == 0.999 && how.weight_decay == 0.25));
  // The decay is one setting for all, that of the first.
  const auto sgd = std::get<SgdOptions>(all.of("sgd"));
  BOOST_TEST((sgd.momentum == 0.75 && sgd.nesterov && sgd.weight_decay == 0.25));
  BOOST_CHECK_EXCEPTION(all.of("adamax"), ConfigError, [](const ConfigError& error) {
    const std::string what = error.what();
    return what.starts_with("the optimizer must be adamw, adam, sgd") &&
           what.ends_with(", not \"adamax\" (did you mean \"adam\"?)");
  });
}

BOOST_AUTO_TEST_CASE(has_every_setting_once_and_every_name) {
  std::vector<std::string> settings;
  OptionsOfAll<>::knobs([&](const Knob& knob, auto&...) { settings.emplace_back(knob.name); });
  BOOST_TEST((std::set(settings.begin(), settings.end()).size() == settings.size()));
  std::set<std::string_view> names;
  for (const auto& one : named_optimizers()) {
    BOOST_TEST(names.insert(one.name).second);
    BOOST_TEST((OptionsOfAll<>().of(one.name).index() == one.options.index()));
  }
}

// With a gradient of zero and fresh moments nothing moves but by the weight decay: that of matrices alone.
BOOST_AUTO_TEST_CASE(decays_matrices_alone_in_every_optimizer) {
  for (auto& [name, options, decoupled] : named_optimizers()) BOOST_TEST_CONTEXT(name) {
      std::visit([](auto& how) { how.weight_decay = 0.5; }, options);
      B backend{1};
      Model model;
      ParameterStore<B> store(backend, model, Purpose::Training);
      store.initialise(3);
      store.zero_gradients();
      AnyOptimizer<B> optimizer(backend, store, options);
      const auto values = [&](const std::string& tensor) {
        const auto& entry = *store.find(tensor);
        std::vector<double> host(static_cast<std::size_t>(entry.size()));
        backend(ops::Download<B>{.x = store.value(entry), .values = host});
        return host;
      };
      std::vector<std::vector<double>> before;
      for (const auto& tensor : all) before.push_back(values(tensor));
      optimizer.update(store, 0.1, &unclipped);
      for (std::size_t t = 0; t < all.size(); ++t) {
        const auto after = values(all[t]);
        const bool matrix = all[t].ends_with(".weight");
        BOOST_TEST((after == before[t]) == !matrix);
        if (matrix && decoupled)
          for (std::size_t i = 0; i < after.size(); ++i) BOOST_TEST(std::abs(after[i] - 0.95 * before[t][i]) < 1e-15);
      }
      BOOST_TEST(optimizer.steps() == 1);
    }
}

BOOST_AUTO_TEST_SUITE_END()
