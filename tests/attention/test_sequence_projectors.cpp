// Projectors that see whole sequences: gradients, PyTorch's values, sequences that do not touch each other, and
// decoding, which gives token by token, in runs and with rows that move what the whole sequence gives.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE attention_sequence_projectors
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <numeric>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "attention/attention_module.hpp"
#include "attention/attention_option_cases.hpp"
#include "golden_file.hpp"
#include "models/every_role.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/attention/warm_start.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/models/layers.hpp"
#include "neural_attention/testing/check_gradients.hpp"
#include "neural_attention/testing/poisoned.hpp"
#include "nn/golden_module.hpp"

using namespace neural_attention;
using namespace neural_attention::testing;
using B = Poisoned<Cpu<double>>;
using Values = std::vector<double>;

namespace {

template <class Backend>
using LongConv = DepthwiseConv<Backend, PlainNeural, 5>;
template <class Backend>
using NoConv = DepthwiseConv<Backend, Linear, 1>;

/// Convolutions wherever they may stand: of the past, and of both sides where all is there at once.
using Everywhere = Projections<ConvLinear, ConvNeural, ConvLinear, LongConv>;
using Centred = Projections<CentredConvLinear, CentredConvLinear, CentredConvLinear, CentredConvLinear>;
using Joint = published::ceres;
using CrossOnly = Projections<ConvLinear, CentredConvLinear, CentredConvLinear, ConvLinear>;

const std::vector<int> ragged{3, 1, 5};
const std::vector<int> memory_lengths{2, 4, 1};
const std::vector<std::string> no_tensors;

AttentionConfig config_of(int width, int heads, double dropout = 0.0) { return {{}, width, heads, dropout}; }

template <class P, bool cross = false>
void check_attention(const AttentionConfig& config, const std::vector<int>& queries, const std::vector<int>& keys,
                     bool causal) {
  B backend(1);
  AttentionModule<B, P, cross> module(config, queries, keys, causal);
  const auto report = check_module(backend, module, module.rows(), config.d_model);
  BOOST_TEST(report.ok(), report.text());
  BOOST_TEST(report.tensors.size() >= 2u);
}

// Reference values.

golden::File& goldens() {
  static golden::File file("modules/sequence_projectors.safetensors");
  return file;
}

Ragged ragged_of(const std::string& name) {
  const auto offsets = goldens().read<int>(name);
  Ragged result;
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) result.push(offsets[i + 1] - offsets[i]);
  return result;
}
std::vector<int> lengths_of(const std::string& name) {
  std::vector<int> result;
  const auto sequences = ragged_of(name);
  for (int s = 0; s < sequences.sequences(); ++s) result.push_back(sequences.length(s));
  return result;
}
int width_of(const std::string& name) { return static_cast<int>(goldens().shape(name).back()); }

template <class Backend, template <class> class P>
double error_alone(Backend&& backend, const std::string& name) {
  ProjectorConfig config;
  config.d_in = config.d_out = width_of(name + ".x");
  return golden::module_error(backend, goldens(), name, P<std::decay_t<Backend>>(config),
                              goldens().read<double>(name + ".x"), goldens().read<double>(name + ".dx"),
                              ragged_of(name + ".offsets"));
}

template <class Backend, class P, bool cross = false>
double error_in_attention(Backend&& backend, const std::string& name, bool causal) {
  const auto config = config_of(width_of(name + ".x"), goldens().read<int>(name + ".heads").at(0));
  auto x = goldens().read<double>(name + ".x"), dx = goldens().read<double>(name + ".dx");
  if (cross)
    for (auto [all, more] : {std::pair{&x, ".memory"}, std::pair{&dx, ".dmemory"}}) {
      const auto memory = goldens().read<double>(name + more);
      all->insert(all->end(), memory.begin(), memory.end());
    }
  return golden::module_error(backend, goldens(), name,
                              AttentionModule<std::decay_t<Backend>, P, cross>(config, lengths_of(name + ".q_offsets"),
                                                                               lengths_of(name + ".k_offsets"), causal),
                              x, dx);
}

using GoldenSelf = Projections<CentredConvLinear, CentredConvLinear, ConvLinear, CentredConvLinear>;
using GoldenCausal = Projections<ConvLinear, ConvNeural, ConvLinear, ConvLinear>;

/// The largest error of each golden case.
std::vector<double> errors(auto&& backend) {
  using Backend = std::decay_t<decltype(backend)>;
  return {error_alone<Backend, ConvLinear>(std::move(backend), "projector.conv_linear"),
          error_alone<Backend, ConvNeural>(std::move(backend), "projector.conv_neural"),
          error_alone<Backend, CentredConvLinear>(std::move(backend), "projector.centred_conv_linear"),
          error_in_attention<Backend, GoldenSelf>(std::move(backend), "attention.self", false),
          error_in_attention<Backend, GoldenCausal>(std::move(backend), "attention.causal", true),
          error_in_attention<Backend, GoldenCausal, true>(std::move(backend), "attention.cross", false),
          error_in_attention<Backend, Joint>(std::move(backend), "joint.self", false),
          error_in_attention<Backend, Joint>(std::move(backend), "joint.causal", true)};
}

// Decoding.

/// A model of one module, for a warm start.
template <class M>
struct OneModule {
  OneModule(B& backend, M of) : module(std::move(of)), store(backend, *this, Purpose::Inference) {}
  static void visit(auto& self, auto&& visitor) { visitor("attn", self.module); }
  ParameterStore<B>& parameters() { return store; }

  M module;
  ParameterStore<B> store;
};

constexpr int width = 6, layers = 3;

LayerConfig layer_config(const AttentionOptions& options = {}) {
  LayerConfig config;
  config.attention = attention_config(width, 2, 0.0, {}, {}, options);
  config.d_ff = 8;
  return config;
}

/// Rows of a decoder as they move: what each has read of which target, of which source.
struct Live {
  std::vector<int> target, length;
};

/// Layers whose attention to the encoder's output has other projectors.
template <class Backend, class P, class Cross>
using MixedLayer = Layer<Backend, Sublayer<Backend, SelfAttention<Backend, P, BartNames, AttentionUse::Causal>>,
                         Sublayer<Backend, CrossAttention<Backend, Cross, BartNames>>,
                         Sublayer<Backend, FeedForwardBranch<Backend, BartNames>>>;

/// Decodes parts of the targets in steps, among which rows are reordered, and compares each result with that of the
/// whole target. Both targets of a source begin alike for as long as they are one row.
template <class P, class Cross = P>
void check_decoding(const LayerConfig& config = layer_config()) {
  using Plain = Cpu<double>;
  Plain backend(1);
  using Stack = LayerStack<Plain, MixedLayer<Plain, P, Cross>>;
  Stack stack(layers, config, false);
  ParameterStore<Plain> store(backend, stack, Purpose::Training);
  testing::randomise(backend, store, 5);
  PassMemory<Plain> memory(backend);
  const auto pass = memory.begin_training();
  // Three sources; targets 0 and 3 belong to the first, and begin with the same four tokens.
  const Ragged sources(std::vector{4, 1, 6}), all_sources(std::vector{4, 1, 6, 4});
  const std::vector<int> lengths{9, 8, 8, 10};
  const Ragged targets(lengths);
  auto source = random_normal(5, 2, sources.total() * width);
  auto x = random_normal(5, 1, targets.total() * width);
  std::copy_n(x.begin(), 4 * width, x.begin() + targets.begin(3) * width);
  const OwnedRows<Plain> of_source(backend, sources.total(), width, source);
  source.insert(source.end(), source.begin(), source.begin() + 4 * width);
  const OwnedRows<Plain> rows(backend, targets.total(), width, x),
      of_all_sources(backend, all_sources.total(), width, source);
  typename Stack::Saved saved;
  const auto y = download(backend, stack.forward(pass, rows.rows, saved,
                                                 DecoderContext<Plain>{targets, all_sources, of_all_sources.rows, {}}));

  auto caches = stack.begin_decoding(pass, {3, 4, 12, sources, of_source.rows});
  Live live{{0, 1, 2}, {0, 0, 0}};
  double largest = 0.0;
  int compared = 0;
  const auto step = [&](const std::vector<int>& counts) {
    const Ragged runs(counts);
    const auto next = pass.saved.rows(runs.total(), width);
    for (int i = 0; i < runs.sequences(); ++i)
      if (counts[static_cast<std::size_t>(i)] > 0)
        pass.backend(ops::Copy<Plain>{.x = rows.rows.slice(targets.begin(live.target[static_cast<std::size_t>(i)]) +
                                                               live.length[static_cast<std::size_t>(i)],
                                                           runs.length(i)),
                                      .y = next.slice(runs.begin(i), runs.length(i))});
    const auto found = download(backend, stack.decode(pass, next, caches, runs));
    for (int i = 0; i < runs.sequences(); ++i) {
      auto& length = live.length[static_cast<std::size_t>(i)];
      const int at = targets.begin(live.target[static_cast<std::size_t>(i)]) + length;
      for (int e = 0; e < runs.length(i) * width; ++e, ++compared)
        largest = std::max(largest, std::abs(found[static_cast<std::size_t>(runs.begin(i) * width + e)] -
                                             y[static_cast<std::size_t>(at * width + e)]));
      length += runs.length(i);
    }
  };
  const auto reorder = [&](const std::vector<int>& parents) {
    caches.reorder(backend, parents);
    Live next;
    for (const int parent : parents) {
      next.target.push_back(live.target[static_cast<std::size_t>(parent)]);
      next.length.push_back(live.length[static_cast<std::size_t>(parent)]);
    }
    live = next;
  };
  step({3, 1, 2});        // prompts of different lengths
  step({1, 1, 1});        // one token each
  reorder({0, 0, 2, 1});  // the first row becomes two, the others change places
  live.target[1] = 3;     // from now on they differ
  step({1, 2, 0, 3});     // runs of different lengths behind what is there
  step({1, 1, 1, 1});
  reorder({3, 1, 0});  // a row leaves
  step({1, 1, 2});
  step({1, 1, 1});
  BOOST_TEST(compared == (6 + 3 + 6 + 4 + 4 + 3) * width);
  BOOST_TEST(largest <= 1e-13);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(gradients)

BOOST_AUTO_TEST_CASE(of_the_projectors) {
  const auto check = [](auto projector, std::size_t tensors) {
    B backend(1);
    const auto report = check_module(backend, projector, 9, 4, {}, Ragged(ragged));
    BOOST_TEST(report.ok(), report.text());
    BOOST_TEST(report.tensors.size() == 2 * (1 + tensors));
  };
  check(ConvLinear<B>({4, 5}), 3);
  check(ConvNeural<B>({4, 5}), 7);
  check(CentredConvLinear<B>({4, 3}), 3);
  check(LongConv<B>({4, 4}), 5);
  check(NoConv<B>({4, 4}), 3);
}

BOOST_AUTO_TEST_CASE(of_attention) {
  for (const double dropout : {0.0, 0.2}) {
    check_attention<Everywhere>(config_of(6, 2, dropout), ragged, ragged, false);
    check_attention<Everywhere>(config_of(6, 3, dropout), ragged, ragged, true);
    check_attention<Everywhere, true>(config_of(6, 2, dropout), ragged, memory_lengths, false);
    check_attention<Centred>(config_of(6, 2, dropout), ragged, ragged, false);
    check_attention<CrossOnly, true>(config_of(6, 2, dropout), ragged, memory_lengths, false);
    check_attention<Joint>(config_of(6, 2, dropout), ragged, ragged, false);
    check_attention<Joint>(config_of(6, 3, dropout), ragged, ragged, true);
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(reference_values)

BOOST_AUTO_TEST_CASE(in_double_float_and_bfloat16) {
  for (const double error : errors(B(1))) BOOST_TEST(error <= 1e-9);
  for (const double error : errors(Cpu<float>(1))) BOOST_TEST((error > 0.0 && error <= 2e-6));
  for (const double error : errors(Cpu<float>(1, Precision::BFloat16))) BOOST_TEST((error > 1e-4 && error <= 2e-2));
  BOOST_TEST(goldens().unused() == no_tensors, boost::test_tools::per_element());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(sequences)

BOOST_AUTO_TEST_CASE(do_not_touch_each_other_and_threads_change_no_bit) {
  using Plain = Cpu<float>;
  const auto x = random_normal<float>(1, 1, 9 * 6), dy = random_normal<float>(1, 2, 9 * 6);
  const auto run = [&](int threads, int first, const std::vector<int>& lengths) {
    Plain backend(threads);
    AttentionModule<Plain, Everywhere> module(config_of(6, 2), lengths, lengths, true);
    ParameterStore<Plain> store(backend, module, Purpose::Training);
    testing::randomise(backend, store, 7);
    const auto part = [&](const std::vector<float>& all) {
      return std::vector<float>(all.begin() + first * 6, all.begin() + (first + module.rows()) * 6);
    };
    const OwnedRows<Plain> rows(backend, module.rows(), 6, part(x));
    return run_module(backend, module, store, rows.rows, part(dy), {}, GradientOptions{});
  };
  const auto together = run(1, 0, ragged), threaded = run(3, 0, ragged);
  BOOST_TEST((together.y == threaded.y && together.dx == threaded.dx && together.gradients == threaded.gradients));
#if defined(NEURAL_ATTENTION_ONEDNN)  // whose sums may depend on the number of rows
  constexpr float rounding = 1e-5f;
#else
  constexpr float rounding = 0.0f;
#endif
  const auto alike = [&](float a, float b) { return std::abs(a - b) <= rounding; };
  for (int s = 0, first = 0; s < 3; first += ragged[static_cast<std::size_t>(s)], ++s) {
    const auto alone = run(1, first, {ragged[static_cast<std::size_t>(s)]});
    BOOST_TEST(std::equal(alone.y.begin(), alone.y.end(), together.y.begin() + first * 6, alike));
    BOOST_TEST(std::equal(alone.dx.begin(), alone.dx.end(), together.dx.begin() + first * 6, alike));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(decoding)

BOOST_AUTO_TEST_CASE(equals_the_whole_sequence) {
  check_decoding<LinearProjections>();  // that the test is right
  check_decoding<Everywhere>();
  check_decoding<Joint, LinearProjections>();
  check_decoding<Projections<NoConv, Linear, ConvLinear, Linear>>();
}

BOOST_AUTO_TEST_CASE(equals_it_with_values_of_the_first_layer) {
  for (const auto& how : value_residual_cases()) {
    BOOST_TEST_CONTEXT(how.name) {
      check_decoding<LinearProjections>(layer_config(how.options));
      check_decoding<Everywhere>(layer_config(how.options));
      check_decoding<Joint, LinearProjections>(layer_config(how.options));
    }
  }
}

BOOST_AUTO_TEST_CASE(equals_it_with_values_of_another_width) {
  for (auto how : value_width_cases())
    for (const int columns : {2, 4, 12}) {
      how.options.value_width = columns;
      BOOST_TEST_CONTEXT(how.name << " " << columns) {
        check_decoding<LinearProjections>(layer_config(how.options));
        check_decoding<Everywhere>(layer_config(how.options));
        check_decoding<Joint, LinearProjections>(layer_config(how.options));
        check_decoding<published::glu_attention>(layer_config(how.options));
      }
    }
}

BOOST_AUTO_TEST_CASE(does_so_with_each_projector) {
  using Model = Marian<Cpu<double>, AnyProjections>;
  const auto check = [](std::string_view projector) {
    const auto config = every_role::config_with<Model>(tiny::config(layers, width), projector);
    check_decoding<AnyProjections>(config.decoder_layer());
  };
  for (const auto name : AnyProjector<Cpu<double>>::names) BOOST_TEST_CONTEXT(name) check(name);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(places)

BOOST_AUTO_TEST_CASE(that_cannot_be_are_refused_with_layer_and_role) {
  const auto message = [](auto&& make) {
    try {
      make();
    } catch (const ConfigError& error) {
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  const std::string why = "a convolution that sees both sides would see tokens that are still to be decoded";
  const auto config = layer_config();
  BOOST_TEST(message([&] {
               LayerStack<B, CausalLayer<B, Projections<Linear, CentredConvLinear, Linear, Linear>>>(2, config);
             }) == "decoder layer 0: the key of causal self-attention: " + why);
  BOOST_TEST(message([&] { CausalLayer<B, Projections<Linear, Linear, Linear, CentredConvLinear>>{config}; }) ==
             "the output of causal self-attention: " + why);
  auto cross = config_of(6, 2);
  cross.use = AttentionUse::Cross;
  BOOST_TEST(message([&] { MultiHeadAttention<B, Projections<CentredConvLinear, Linear, Linear, Linear>>{cross}; }) ==
             "the query of cross-attention: " + why);
  BOOST_TEST(
      message([&] { MultiHeadAttention<B, Joint>{cross}; })
          .find(
              " of cross-attention: joint_qkv makes query, key and value of the same tokens, and here keys and values "
              "are of others") != std::string::npos);
  BOOST_TEST(message([&] { MultiHeadAttention<B, Projections<Linear, JointQkv, Linear, Linear>>{config_of(6, 2)}; }) ==
             "joint_qkv makes query, key and value by one map, but is the projector of the key alone and not of the "
             "query and value");
  BOOST_TEST(
      message([&] { LayerStack<B, EncoderLayer<B, Projections<JointQkv, JointQkv, Linear, Linear>>>(2, config); }) ==
      "encoder layer 0: joint_qkv makes query, key and value by one map, but is the projector of the query and "
      "key alone "
      "and not of the value");
  BOOST_TEST(message([&] { MultiHeadAttention<B, Projections<Linear, Linear, Linear, JointQkv>>{config_of(6, 2)}; }) ==
             "the output of self-attention: joint_qkv is a projector of query, key and value");
  BOOST_TEST(message([&] { MultiHeadAttention<B, CrossOnly>{cross}; }) == "accepted");
  BOOST_TEST(message([&] { MultiHeadAttention<B, Centred>{config_of(6, 2)}; }) == "accepted");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(first_values)

BOOST_AUTO_TEST_CASE(are_those_of_the_authors) {
  B backend(1);
  ConvLinear<B> past({2, 2});
  CentredConvLinear<B> centred({2, 2});
  ParameterStore<B> one(backend, past, Purpose::Inference), other(backend, centred, Purpose::Inference);
  one.initialise(1);
  other.initialise(1);
  const double third = 0.5 / 3;
  BOOST_TEST((download(backend, past.kernel.value) == Values{0.5, 0.5, third, third, third, third}));
  BOOST_TEST((download(backend, centred.kernel.value) == Values{third, third, 0.5, 0.5, third, third}));
}

BOOST_AUTO_TEST_CASE(are_set_for_the_map_that_roles_share_too) {
  AttentionModule<B, Joint> module(config_of(8, 2), {3}, {3}, false);
  std::set<std::string> names;
  for_each_projector(module, [&](const std::string& name, auto&) { names.insert(name.substr(name.rfind('.') + 1)); });
  BOOST_TEST(names == (std::set<std::string>{"qkv_proj", "q_proj", "k_proj", "v_proj", "out_proj"}),
             boost::test_tools::per_element());
}

// Its matrices alone look like maps without biases.
BOOST_AUTO_TEST_CASE(of_joint_maps_are_no_linear_map) {
  B backend(1);
  using Module = AttentionModule<B, Joint>;
  OneModule<Module> joint(backend, Module(config_of(8, 2), {3}, {3}, false));
  const auto maps = linear_maps(backend, joint.store);
  for (const std::string name : {"attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.qkv_proj"})
    BOOST_TEST(!maps(name).has_value(), name);
  BOOST_TEST(maps("attn.out_proj").has_value());
  using Plain = AttentionModule<B, LinearProjections>;
  auto config = config_of(8, 2);
  for_each_role([](const char*, ProjectorConfig& projector) { projector.bias = false; }, config);
  OneModule<Plain> linear(backend, Plain(config, {3}, {3}, false));
  testing::randomise(backend, linear.store, 3);
  const auto of_linear = linear_maps(backend, linear.store);
  for (const std::string name : {"attn.q_proj", "attn.k_proj", "attn.v_proj", "attn.out_proj"}) {
    const auto map = of_linear(name);
    BOOST_TEST_REQUIRE(map.has_value(), name);
    const auto weight = download(backend, linear.store.value(*linear.store.find(name + ".weight")));
    BOOST_TEST(map->weight == weight, boost::test_tools::per_element());
    BOOST_TEST(map->bias == Values(8, 0.0), boost::test_tools::per_element());
  }
  BOOST_CHECK_EXCEPTION(warm_start(backend, joint, of_linear), ConfigError, [](const ConfigError& error) {
    return std::string(error.what()).find("joint_qkv") != std::string::npos;
  });
}

BOOST_AUTO_TEST_CASE(can_be_a_linear_map) {
  B backend(1);
  using Convolved = AttentionModule<B, Centred>;
  using Plain = AttentionModule<B, LinearProjections>;
  OneModule<Convolved> convolved(backend, Convolved(config_of(4, 2), ragged, ragged, false));
  OneModule<Plain> linear(backend, Plain(config_of(4, 2), ragged, ragged, false));
  testing::randomise(backend, convolved.store, 4);
  testing::randomise(backend, linear.store, 3);
  const auto report = warm_start(backend, convolved, linear_maps(backend, linear.store));
  BOOST_TEST(report.projectors.size() == 4u);
  const OwnedRows<B> x(backend, 9, 4, random_normal(1, 1, 36));
  const auto a = run_module(backend, convolved.module, convolved.store, x.rows, {}, {}, {}),
             b = run_module(backend, linear.module, linear.store, x.rows, {}, {}, {});
  BOOST_TEST(golden::difference(a.y, b.y) <= 1e-14);
}

BOOST_AUTO_TEST_SUITE_END()
