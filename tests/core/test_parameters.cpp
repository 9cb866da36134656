// The store of a model's numbers: names and their order, the layout, the first values, and how many there are.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_parameters
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"

using namespace neural_attention;

namespace {

/// Leaves of every kind, in an order that the test chooses.
template <class B>
struct Leaves {
  struct Inner {
    Parameter<B> weight{3, 7, Initial::normal(0.5)};
    RandomSite site;
    static void visit(auto& self, auto&& visitor) {
      visitor("weight", self.weight);
      visitor("dropout", self.site);
    }
  };

  explicit Leaves(bool backwards = false) : reversed(backwards) {}

  bool reversed;
  Parameter<B> table{5, 4, Initial{Initial::Kind::Normal, 2.0, 3}};
  Parameter<B> gain{6, Initial::constant(1.5)};
  Parameter<B> square{20, 30, Initial::xavier(30, 20)};
  Buffer<B> fixed{1, 3, Initial::constant(-1.0)};
  std::vector<Inner> list = std::vector<Inner>(2);

  static void visit(auto& self, auto&& visitor) {
    if (self.reversed) visitor("list", self.list);
    visitor("fixed", self.fixed);
    visitor("table", self.table);
    if (self.reversed) visitor("square", self.square);
    visitor("gain", self.gain);
    if (!self.reversed) visitor("square", self.square);
    if (!self.reversed) visitor("list", self.list);
  }
};

template <class B>
std::vector<std::string> names(const ParameterStore<B>& store) {
  std::vector<std::string> result;
  for (const auto& entry : store.entries()) result.push_back(entry.name);
  return result;
}

template <class B>
std::vector<typename B::Scalar> tensor(B& backend, const ParameterStore<B>& store, const std::string& name) {
  const auto* const entry = store.find(name);
  if (!entry) throw std::runtime_error("no tensor " + name);
  std::vector<typename B::Scalar> host(static_cast<std::size_t>(entry->size()));
  backend(ops::Download<B>{.x = store.value(*entry), .values = host});
  return host;
}

void check_equal(const std::vector<std::string>& found, const std::vector<std::string>& expected) {
  BOOST_CHECK_EQUAL_COLLECTIONS(found.begin(), found.end(), expected.begin(), expected.end());
}

template <class P>
std::vector<std::string> marian_names() {
  Cpu<float> backend(1);
  return names(Marian<Cpu<float>, P>(backend, tiny::config()).parameters());
}

bool sanitized() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
  return true;
#endif
#endif
  return false;
}

/// The size of a model as large as Helsinki-NLP's opus-mt-de-en.
template <class P>
std::ptrdiff_t base_count() {
  auto config = marian_base(58101);
  config.xavier_init = true;  // cheaper to draw
  Cpu<float> backend(1);
  return Marian<Cpu<float>, P>(backend, config, 1, Purpose::Inference).parameters().count();
}

}  // namespace

BOOST_AUTO_TEST_SUITE(names_of)

BOOST_AUTO_TEST_CASE(leaves) {
  Cpu<float> backend(1);
  Leaves<Cpu<float>> model;
  const ParameterStore<Cpu<float>> store(backend, model, Purpose::Training);
  check_equal(names(store), {"table", "gain", "square", "list.0.weight", "list.1.weight", "fixed"});
  BOOST_TEST((store.find("list.1.weight") && !store.find("list.2.weight") && !store.find("list")));
  BOOST_TEST(model.list[0].site.id == name_hash("list.0.dropout"));
  BOOST_TEST(model.list[1].site.id == name_hash("list.1.dropout"));
  static_assert(name_hash("") == 0x811c9dc5u);
  static_assert(name_hash("a") == 0xe40c292cu);
  static_assert(name_hash("foobar") == 0xbf9cf968u);
}

// Hugging Face's names, so that a checkpoint can be exchanged; projectors are numbered as torch.nn.Sequential.
BOOST_AUTO_TEST_CASE(paper_marian) {
  const std::vector<std::string> encoder_attention{
      "k_proj.0.weight", "k_proj.0.bias",     "k_proj.1.weight", "k_proj.1.bias",     "k_proj.3.weight",
      "k_proj.3.bias",   "v_proj.weight",     "v_proj.bias",     "q_proj.0.weight",   "q_proj.0.bias",
      "q_proj.1.weight", "q_proj.1.bias",     "q_proj.3.weight", "q_proj.3.bias",     "out_proj.0.weight",
      "out_proj.0.bias", "out_proj.1.weight", "out_proj.1.bias", "out_proj.3.weight", "out_proj.3.bias"};
  std::vector<std::string> expected{"model.shared.weight"};
  const auto attention = [&](const std::string& prefix) {
    for (const auto& name : encoder_attention) expected.push_back(prefix + "." + name);
    expected.push_back(prefix + "_layer_norm.weight");
    expected.push_back(prefix + "_layer_norm.bias");
  };
  const auto rest = [&](const std::string& prefix) {
    for (const char* name :
         {"fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias", "final_layer_norm.weight", "final_layer_norm.bias"})
      expected.push_back(prefix + name);
  };
  attention("model.encoder.layers.0.self_attn");
  rest("model.encoder.layers.0.");
  attention("model.decoder.layers.0.self_attn");
  attention("model.decoder.layers.0.encoder_attn");
  rest("model.decoder.layers.0.");
  expected.push_back("final_logits_bias");
  BOOST_TEST(expected.size() == 80u);
  check_equal(marian_names<paper::marian>(), expected);
}

BOOST_AUTO_TEST_CASE(stock_marian) {
  check_equal(marian_names<LinearProjections>(), {"model.shared.weight",
                                                  "model.encoder.layers.0.self_attn.k_proj.weight",
                                                  "model.encoder.layers.0.self_attn.k_proj.bias",
                                                  "model.encoder.layers.0.self_attn.v_proj.weight",
                                                  "model.encoder.layers.0.self_attn.v_proj.bias",
                                                  "model.encoder.layers.0.self_attn.q_proj.weight",
                                                  "model.encoder.layers.0.self_attn.q_proj.bias",
                                                  "model.encoder.layers.0.self_attn.out_proj.weight",
                                                  "model.encoder.layers.0.self_attn.out_proj.bias",
                                                  "model.encoder.layers.0.self_attn_layer_norm.weight",
                                                  "model.encoder.layers.0.self_attn_layer_norm.bias",
                                                  "model.encoder.layers.0.fc1.weight",
                                                  "model.encoder.layers.0.fc1.bias",
                                                  "model.encoder.layers.0.fc2.weight",
                                                  "model.encoder.layers.0.fc2.bias",
                                                  "model.encoder.layers.0.final_layer_norm.weight",
                                                  "model.encoder.layers.0.final_layer_norm.bias",
                                                  "model.decoder.layers.0.self_attn.k_proj.weight",
                                                  "model.decoder.layers.0.self_attn.k_proj.bias",
                                                  "model.decoder.layers.0.self_attn.v_proj.weight",
                                                  "model.decoder.layers.0.self_attn.v_proj.bias",
                                                  "model.decoder.layers.0.self_attn.q_proj.weight",
                                                  "model.decoder.layers.0.self_attn.q_proj.bias",
                                                  "model.decoder.layers.0.self_attn.out_proj.weight",
                                                  "model.decoder.layers.0.self_attn.out_proj.bias",
                                                  "model.decoder.layers.0.self_attn_layer_norm.weight",
                                                  "model.decoder.layers.0.self_attn_layer_norm.bias",
                                                  "model.decoder.layers.0.encoder_attn.k_proj.weight",
                                                  "model.decoder.layers.0.encoder_attn.k_proj.bias",
                                                  "model.decoder.layers.0.encoder_attn.v_proj.weight",
                                                  "model.decoder.layers.0.encoder_attn.v_proj.bias",
                                                  "model.decoder.layers.0.encoder_attn.q_proj.weight",
                                                  "model.decoder.layers.0.encoder_attn.q_proj.bias",
                                                  "model.decoder.layers.0.encoder_attn.out_proj.weight",
                                                  "model.decoder.layers.0.encoder_attn.out_proj.bias",
                                                  "model.decoder.layers.0.encoder_attn_layer_norm.weight",
                                                  "model.decoder.layers.0.encoder_attn_layer_norm.bias",
                                                  "model.decoder.layers.0.fc1.weight",
                                                  "model.decoder.layers.0.fc1.bias",
                                                  "model.decoder.layers.0.fc2.weight",
                                                  "model.decoder.layers.0.fc2.bias",
                                                  "model.decoder.layers.0.final_layer_norm.weight",
                                                  "model.decoder.layers.0.final_layer_norm.bias",
                                                  "final_logits_bias"});
}

BOOST_AUTO_TEST_CASE(random_sites_are_all_different) {
  Cpu<float> backend(1);
  Marian<Cpu<float>, paper::marian> model(backend, tiny::config(6));
  std::set<std::uint32_t> ids;
  std::set<std::string> site_names;
  for_each_leaf(model, [&](const std::string& name, RandomSite& site) {
    BOOST_TEST(site.id == name_hash(name));
    ids.insert(site.id);
    site_names.insert(name);
  });
  // Two embeddings; per encoder layer attention, two residuals and the feed-forward; per decoder layer two more.
  BOOST_TEST(site_names.size() == 2u + 6u * 4u + 6u * 6u);
  BOOST_TEST(ids.size() == site_names.size());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(layout)

BOOST_AUTO_TEST_CASE(is_aligned_and_its_gaps_are_zero) {
  using B = Cpu<double>;
  B backend(1);
  Marian<B, paper::marian> model(backend, tiny::config(2, 6));
  const auto& store = model.parameters();
  const auto host = tiny::values(backend, store);
  std::vector<bool> gap(host.size(), true);
  std::ptrdiff_t end = 0, trained = 0;
  bool buffers = false;
  for (const auto& entry : store.entries()) {
    BOOST_TEST(entry.offset % 16 == 0);
    BOOST_TEST((entry.offset >= end && entry.offset < end + 16));
    end = entry.offset + entry.size();
    BOOST_TEST((entry.trained || entry.name == "final_logits_bias"));
    BOOST_TEST(!(buffers && entry.trained), "trained tensors come first");
    buffers |= !entry.trained;
    trained += entry.trained ? entry.size() : 0;
    std::fill_n(gap.begin() + entry.offset, entry.size(), false);
  }
  BOOST_TEST(buffers);
  BOOST_TEST(store.count() == trained);
  BOOST_TEST((end <= store.values().cols && store.values().cols < end + 16));
  BOOST_TEST(reinterpret_cast<std::uintptr_t>(store.values().data) % 64 == 0u);
  long gaps = 0;
  for (std::size_t i = 0; i < host.size(); ++i)
    if (gap[i]) {
      ++gaps;
      BOOST_TEST_REQUIRE(host[i] == 0.0);
    }
  BOOST_TEST(gaps > 100);
}

BOOST_AUTO_TEST_CASE(binds_the_leaves) {
  using B = Cpu<float>;
  B backend(1);
  Leaves<B> model;
  const ParameterStore<B> store(backend, model, Purpose::Training);
  const auto* const gain = store.find("gain");
  BOOST_TEST((model.gain.value.data == store.value(*gain).data && model.gain.value.cols == 6 && gain->vector));
  BOOST_TEST(model.gain.gradient.data == store.gradient(*gain).data);
  BOOST_TEST((model.fixed.value && !model.fixed.gradient && !store.find("fixed")->trained));
  BOOST_TEST((model.list[1].weight.value.rows == 3 && model.list[1].weight.value.cols == 7));
  BOOST_TEST(store.count() == 20 + 6 + 600 + 2 * 21);

  Leaves<B> inferring;
  const ParameterStore<B> small(backend, inferring, Purpose::Inference);
  BOOST_TEST((inferring.gain.value && !inferring.gain.gradient && !small.gradients()));
}

BOOST_AUTO_TEST_CASE(for_inference_has_no_gradients) {
  using B = Cpu<float>;
  B backend(1);
  Leaves<B> model;
  ParameterStore<B> store(backend, model, Purpose::Inference);
  BOOST_CHECK_THROW(store.require_gradients(), ConfigError);
  BOOST_CHECK_THROW(store.zero_gradients(), ConfigError);
  BOOST_CHECK_THROW(store.gradient(store.entries().front()), ConfigError);
}

BOOST_AUTO_TEST_CASE(zero_gradients_clears_them_all) {
  using B = Cpu<float>;
  B backend(1);
  Leaves<B> model;
  ParameterStore<B> store(backend, model, Purpose::Training);
  backend(ops::Fill<B>{.x = store.gradients(), .value = 3.0f});
  BOOST_TEST(backend(ops::SquaredNorm<B>{.x = store.gradients()}) > 1.0);
  store.zero_gradients();
  BOOST_TEST(backend(ops::SquaredNorm<B>{.x = store.gradients()}) == 0.0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(first_values)

BOOST_AUTO_TEST_CASE(depend_on_seed_and_name_only) {
  Cpu<double> exact(1);
  Cpu<float> backend(2);
  Leaves<Cpu<double>> first, again, other;
  Leaves<Cpu<float>> narrow(true);  // other number format, other order, other number of threads
  ParameterStore<Cpu<double>> store(exact, first, Purpose::Training), repeated(exact, again, Purpose::Inference),
      differing(exact, other, Purpose::Training);
  ParameterStore<Cpu<float>> narrow_store(backend, narrow, Purpose::Training);
  store.initialise(7);
  repeated.initialise(7);
  differing.initialise(8);
  narrow_store.initialise(7);
  BOOST_TEST(names(store) != names(narrow_store));
  for (const auto& name : names(store)) {
    const auto values = tensor(exact, store, name);
    BOOST_TEST((tensor(exact, repeated, name) == values));
    const bool constant = name == "gain" || name == "fixed";
    BOOST_TEST((tensor(exact, differing, name) == values) == constant);
    BOOST_TEST((tensor(backend, narrow_store, name) == std::vector<float>(values.begin(), values.end())), name);
  }
  BOOST_TEST(tensor(exact, store, "list.0.weight") != tensor(exact, store, "list.1.weight"));
}

BOOST_AUTO_TEST_CASE(are_pinned) {
  Cpu<double> backend(1);
  Leaves<Cpu<double>> model;
  ParameterStore<Cpu<double>> store(backend, model, Purpose::Training);
  store.initialise(42);
  RandomStream random({42, 0, name_hash("table")});
  const auto table = tensor(backend, store, "table");
  for (std::size_t i = 0; i < 20; ++i) {
    const double drawn = 2.0 * random.normal();
    BOOST_TEST(table[i] == (i / 4 == 3 ? 0.0 : drawn));
  }
  BOOST_TEST(tensor(backend, store, "gain") == std::vector<double>(6, 1.5));
  BOOST_TEST(tensor(backend, store, "fixed") == std::vector<double>(3, -1.0));
}

BOOST_AUTO_TEST_CASE(have_the_right_spread) {
  Cpu<double> backend(1);
  Leaves<Cpu<double>> model;
  ParameterStore<Cpu<double>> store(backend, model, Purpose::Training);
  store.initialise(1);
  const double bound = std::sqrt(6.0 / 50.0);
  const auto square = tensor(backend, store, "square");
  double squares = 0.0, largest = 0.0;
  for (const double x : square) {
    squares += x * x / double(square.size());
    largest = std::max(largest, std::abs(x));
  }
  BOOST_TEST((largest <= bound && largest > 0.98 * bound));
  // x² of a uniform in ±b has mean b²/3 and deviation b²·√(4/45).
  BOOST_TEST(std::abs(squares - bound * bound / 3.0) < 5.0 * bound * bound * std::sqrt(4.0 / 45.0 / 600.0));
}

BOOST_AUTO_TEST_CASE(of_marian) {
  using B = Cpu<double>;
  B backend(1);
  auto config = tiny::config(1, 32);
  config.vocab_size = 400;
  config.pad_token_id = 399;
  for (const bool xavier : {false, true}) {
    config.xavier_init = xavier;
    Marian<B, paper::marian> model(backend, config, 5);
    const auto& store = model.parameters();
    const auto embedding = tensor(backend, store, "model.shared.weight");
    double squares = 0.0;
    for (const double x : embedding) squares += x * x;
    const double count = 399.0 * 32.0, deviation = xavier ? 1.0 / std::sqrt(32.0) : 0.02;
    BOOST_TEST(std::abs(squares / count / (deviation * deviation) - 1.0) < 5.0 * std::sqrt(2.0 / count));
    for (std::size_t i = embedding.size() - 32; i < embedding.size(); ++i) BOOST_TEST(embedding[i] == 0.0);
    const auto inner = tensor(backend, store, "model.encoder.layers.0.self_attn.q_proj.0.weight");  // 32 → 64
    const auto largest = *std::max_element(inner.begin(), inner.end());
    if (xavier)
      BOOST_TEST((largest <= std::sqrt(6.0 / 96.0) && largest > 0.98 * std::sqrt(6.0 / 96.0)));
    else
      BOOST_TEST((largest > 0.05 && largest < 0.12));  // about three to six deviations
    for (const double x : tensor(backend, store, "model.encoder.layers.0.self_attn.q_proj.1.weight"))
      BOOST_TEST(x == 1.0);
    for (const char* zero :
         {"model.encoder.layers.0.self_attn.q_proj.1.bias", "model.encoder.layers.0.fc1.bias", "final_logits_bias"})
      for (const double x : tensor(backend, store, zero)) BOOST_TEST(x == 0.0);
  }
}

BOOST_AUTO_TEST_SUITE_END()

// The arithmetic of the sizes, written out once more.
BOOST_AUTO_TEST_SUITE(count_slow)

BOOST_AUTO_TEST_CASE(of_the_base_models) {
  if (sanitized()) {
    BOOST_TEST_MESSAGE("SKIPPED: two models of base size are too slow under a sanitizer");
    return;
  }
  constexpr std::ptrdiff_t d = 512, ff = 2048, layers = 6, vocabulary = 58101;
  constexpr std::ptrdiff_t linear = d * d + d, norm = 2 * d;
  constexpr std::ptrdiff_t neural = (d * 2 * d + 2 * d) + 2 * (2 * d) + (2 * d * d + d);
  constexpr std::ptrdiff_t feed_forward = (d * ff + ff) + (ff * d + d);
  constexpr auto marian = [](std::ptrdiff_t attention) {
    const auto encoder = attention + norm + feed_forward + norm;
    const auto decoder = 2 * (attention + norm) + feed_forward + norm;
    return vocabulary * d + layers * (encoder + decoder);
  };
  static_assert(marian(4 * linear) == 73886208);
  static_assert(marian(3 * neural + linear) == 116519424);
  BOOST_TEST(base_count<LinearProjections>() == marian(4 * linear));
  BOOST_TEST(base_count<paper::marian>() == marian(3 * neural + linear));
}

BOOST_AUTO_TEST_SUITE_END()
