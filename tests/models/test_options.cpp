// Options of training together. All combinations of pre-norm, dropout, label smoothing, bfloat16 products, batches by
// tokens and accumulation, which change what is computed; in each of them recomputed activations and more threads must
// not change a bit, accumulated parts must have the gradient of the undivided batch, and gradients that backward calls
// complete must stay as they are.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_options
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <string>
#include <vector>

#include "attention/attention_option_cases.hpp"
#include "models/every_role.hpp"
#include "models/tiny_gpt2.hpp"
#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/text/data/masked_lm_data.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/train/training_step.hpp"
#include "train/watchful_group.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;

constexpr int vocabulary = 67, sequences = 18, parts_of_step = 3;

struct Options {
  bool pre_norm = false, dropout = false, smoothing = false, bfloat16 = false, by_tokens = false, accumulation = false;
  bool checkpointing = false, misplaced = false;
  int threads = 1;
  NamedOptions attention = {};
  std::string projector = {};  ///< of a model whose roles are a Choice, where it can stand

  std::string text() const {
    std::string result;
    const auto add = [&](bool on, const char* name) { result += on ? std::string(" ") + name : std::string(); };
    add(pre_norm, "normalize_before");
    add(dropout, "dropout");
    add(smoothing, "label_smoothing");
    add(bfloat16, "bfloat16");
    add(by_tokens, "mini_batch_words");
    add(accumulation, "accumulation");
    add(checkpointing, "checkpointing");
    add(threads > 1, "threads");
    add(!attention.name.empty(), attention.name.c_str());
    add(!projector.empty(), projector.c_str());
    return result;
  }
  double rate() const { return dropout ? 0.2 : 0.0; }
  /// A value residual needs a third layer, so that two layers add to one gradient.
  int layers() const { return attention.options.value_residual == ValueResidualKind::None ? 2 : 3; }
  text::BatchOptions batches() const {
    return by_tokens ? text::BatchOptions{.tokens = 45, .maxi_batches = 2} : text::BatchOptions{.sentences = 3};
  }
};

std::vector<int> random_ids(RandomStream& random, int first, std::vector<int> ids, int end) {
  for (auto left = 2 + random.below(15); left > 0; --left)
    ids.push_back(first + static_cast<int>(random.below(static_cast<std::uint32_t>(vocabulary - 1 - first))));
  ids.push_back(end);
  return ids;
}

struct Translation {
  using Model = Marian<B, paper::marian>;
  using Data = text::TranslationData;

  static MarianConfig config(const Options& how) {
    auto config = tiny::config(how.layers(), 16, how.rate());
    config.vocab_size = vocabulary;
    config.pad_token_id = vocabulary - 1;
    config.max_position_embeddings = 32;
    config.normalize_before = how.pre_norm;
    config.gradient_checkpointing = how.checkpointing;
    config.attention = how.attention.options;
    return config;
  }
  static Data data(const Options& how) {
    RandomStream random({5, 0, 0});
    text::TokenizedPairs pairs;
    for (int i = 0; i < sequences; ++i) {
      const auto source = random_ids(random, 1, {}, 0);
      pairs.add(source, random_ids(random, 1, {}, 0));
    }
    return {std::move(pairs), how.batches(), vocabulary - 1};
  }
  static void append(TranslationBatch& whole, const TranslationBatch& part) {
    for (int s = 0; s < part.sentences(); ++s)
      whole.push(part.source.ids().subspan(static_cast<std::size_t>(part.source.offsets().begin(s)),
                                           static_cast<std::size_t>(part.source.offsets().length(s))),
                 std::span(part.labels)
                     .subspan(static_cast<std::size_t>(part.decoder_input.offsets().begin(s)),
                              static_cast<std::size_t>(part.decoder_input.offsets().length(s))));
  }
  static void misplace(TranslationBatch& part) {
    part.source.begin_at({});
    part.decoder_input.begin_at({});
  }
};

/// Convolutions over the sequence in every role.
struct ConvolvedTranslation : Translation {
  using Model = Marian<B, Projections<ConvLinear, ConvNeural, ConvLinear, ConvLinear>>;
  static bool takes(const Options& how) { return !how.smoothing && !how.bfloat16 && !how.by_tokens; }
};

/// A projector that is picked by its name.
struct AnyTranslation : Translation {
  using Model = Marian<B, AnyProjections>;
  static MarianConfig config(const Options& how) {
    return every_role::config_with<Model>(Translation::config(how), how.projector);
  }
};

struct MaskedLm {
  using Model = Roberta<B, paper::roberta>;
  using Data = text::MaskedLmData;

  static RobertaConfig config(const Options& how) {
    auto config = tiny::roberta_config(how.layers(), how.rate());
    config.vocab_size = vocabulary;
    config.hidden_size = 16;
    config.max_position_embeddings = 34;
    config.normalize_before = how.pre_norm;
    config.gradient_checkpointing = how.checkpointing;
    config.attention = how.attention.options;
    return config;
  }
  static Data data(const Options& how) {
    RandomStream random({5, 0, 0});
    text::TokenSequences blocks;
    for (int i = 0; i < sequences; ++i) blocks.add(random_ids(random, 3, {0}, 2));
    text::MaskingVocabulary known{std::vector<bool>(vocabulary), vocabulary - 1, 1};
    for (const int special : {0, 1, 2, vocabulary - 1}) known.special[static_cast<std::size_t>(special)] = true;
    return {std::move(blocks), std::move(known), how.batches(), {.probability = 0.3}};
  }
  static void append(MaskedBatch& whole, const MaskedBatch& part) {
    std::size_t next = 0;
    for (int s = 0; s < part.sequences(); ++s) {
      const int begin = part.tokens.offsets().begin(s), length = part.tokens.offsets().length(s);
      std::vector<int> places, originals;
      for (; next < part.labels.size() && part.masked_rows[next] < begin + length; ++next) {
        places.push_back(part.masked_rows[next] - begin);
        originals.push_back(part.labels[next]);
      }
      whole.push(part.tokens.ids().subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(length)), places,
                 originals);
    }
  }
  static void misplace(MaskedBatch& part) { part.tokens.begin_at({}); }
};

/// Texts one by one, with the query that alone bends.
struct CausalLm {
  using Model = Gpt2<B, published::karbevski2026_query>;
  struct Data {
    using Batch = CausalBatch;

    std::size_t batches() const { return plan.size(); }
    Batch empty_batch() const { return {}; }
    void fill(std::size_t index, Batch& batch) const {
      batch.clear();
      for (const int text : plan[index]) batch.push(texts[static_cast<std::size_t>(text)]);
    }

    text::TokenSequences texts;
    text::BatchPlan plan;
  };

  static bool takes(const Options& how) { return how.pre_norm || !how.attention.name.empty(); }
  static Gpt2Config config(const Options& how) {
    auto config = tiny::gpt2_config(how.layers(), how.rate());
    config.vocab_size = vocabulary;
    config.n_embd = 16;
    config.max_position_embeddings = 32;
    config.initializer_range = 0.1;
    config.gradient_checkpointing = how.checkpointing;
    config.attention = how.attention.options;
    return config;
  }
  static Data data(const Options& how) {
    RandomStream random({5, 0, 0});
    Data data;
    for (int i = 0; i < 2 * sequences; ++i) data.texts.add(random_ids(random, 1, {}, 0));
    data.plan = text::plan_batches(data.texts, how.batches());
    return data;
  }
  static void append(CausalBatch& whole, const CausalBatch& part) {
    for (int s = 0; s < part.offsets().sequences(); ++s) {
      const auto inputs = part.sequence(s);
      std::vector<int> text(inputs.begin(), inputs.end());
      text.push_back(part.labels[static_cast<std::size_t>(part.offsets().begin(s) + part.offsets().length(s) - 1)]);
      whole.push(text);
    }
  }
  static void misplace(CausalBatch& part) { part.begin_at({}); }
};

/// Query, key and value from one map.
struct JointMaskedLm : MaskedLm {
  using Model = Roberta<B, published::ceres>;
  static bool takes(const Options& how) { return ConvolvedTranslation::takes(how); }
};

struct Trained {
  std::vector<double> losses, norms;
  std::vector<float> first_gradient, values;
  std::size_t parts = 0;

  bool operator==(const Trained&) const = default;
};

/// Two optimizer steps, each of three batches: as three parts or as one.
template <class Subject, class G = Alone>
Trained trained(const Options& how, G& group = alone_group) {
  using Model = typename Subject::Model;
  B backend(how.threads, how.bfloat16 ? Precision::BFloat16 : Precision::Float32);
  Model model(backend, Subject::config(how), 3);
  TrainingStep<Model, Adam<B>, G> training(
      backend, model,
      {.learning_rate = 1e-3, .schedule = {Schedule::Kind::Constant}, .label_smoothing = how.smoothing ? 0.1 : 0.0}, {},
      group);
  const auto data = Subject::data(how);
  BOOST_REQUIRE(data.batches() >= 2 * parts_of_step);
  Trained result;
  for (std::size_t first = 0; first < 2 * parts_of_step; first += parts_of_step) {
    std::vector<typename Subject::Data::Batch> parts(parts_of_step, data.empty_batch());
    for (std::size_t i = 0; i < parts.size(); ++i) {
      data.fill(first + i, parts[i]);
      if (i > 0) parts[i].follow(parts[i - 1]);
    }
    if (!how.accumulation) {
      auto whole = data.empty_batch();
      for (const auto& part : parts) Subject::append(whole, part);
      parts.assign(1, whole);
    }
    if (how.misplaced)
      for (auto& part : parts) Subject::misplace(part);
    result.parts += parts.size();
    long labels = 0;
    for (const auto& part : parts) labels += static_cast<long>(part.labels.size());
    if constexpr (!is_alone<G>) group.all = model.parameters().gradients();
    training.launch(std::span(parts), labels);
    const auto step = training.result();
    result.losses.push_back(step.loss.smoothed);
    result.norms.push_back(step.gradient_norm);
    if (!result.first_gradient.empty()) continue;
    result.first_gradient.resize(static_cast<std::size_t>(model.parameters().gradients().size()));
    backend(ops::Download<B>{.x = model.parameters().gradients(), .values = result.first_gradient});
  }
  result.values = tiny::values(backend, model.parameters());
  return result;
}

/// ‖a - b‖ / ‖b‖
double distance(const std::vector<float>& a, const std::vector<float>& b) {
  BOOST_REQUIRE(a.size() == b.size());
  double difference = 0.0, size = 0.0;
  for (std::size_t i = 0; i < a.size(); ++i) {
    difference += (double(a[i]) - b[i]) * (double(a[i]) - b[i]);
    size += double(b[i]) * b[i];
  }
  return std::sqrt(difference / size);
}

std::vector<Options> combinations() {
  std::vector<Options> all;
  for (int bits = 0; bits < 64; ++bits)
    all.push_back({.pre_norm = (bits & 32) != 0,
                   .dropout = (bits & 1) != 0,
                   .smoothing = (bits & 2) != 0,
                   .bfloat16 = (bits & 4) != 0,
                   .by_tokens = (bits & 8) != 0,
                   .accumulation = (bits & 16) != 0});
  return all;
}

/// Options of attention with dropout and accumulation, some of them with the others.
std::vector<Options> attention_combinations(const std::vector<NamedOptions>& cases = all_option_cases()) {
  std::vector<Options> all;
  for (const auto& one : cases)
    for (const bool further : {false, true}) {
      if (further && one.name != "l2" && !one.name.starts_with("all")) continue;
      all.push_back({.pre_norm = further,
                     .dropout = true,
                     .smoothing = further,
                     .bfloat16 = further,
                     .accumulation = !further,
                     .attention = one});
    }
  return all;
}

/// Each projector, with dropout.
std::vector<Options> projectors() {
  std::vector<Options> all;
  for (const auto name : AnyProjector<B>::names) all.push_back({.dropout = true, .projector = std::string(name)});
  return all;
}

template <class Subject>
bool left_out(const Options& how) {
  if constexpr (requires { Subject::takes(how); }) return !Subject::takes(how);
  return false;
}

template <class Subject>
void check_bits(const std::vector<Options>& all) {
  for (const auto& how : all) {
    if (left_out<Subject>(how)) continue;
    const auto plain = trained<Subject>(how);
    BOOST_REQUIRE(plain.values.size() > 1000u);
    BOOST_REQUIRE(plain.parts == (how.accumulation ? 6u : 2u));
    for (const bool checkpointing : {false, true})
      for (const int threads : {1, 2}) {
        auto other = how;
        other.checkpointing = checkpointing;
        other.threads = threads;
        if (!checkpointing && threads == 1) continue;
        WatchfulGroup<float> group;
        BOOST_TEST((trained<Subject>(other, group) == plain), "other bits with" << other.text());
        BOOST_TEST(group.whole);
        BOOST_TEST(group.early == 2);
        BOOST_TEST(group.exchanges > other.layers());
        BOOST_TEST(group.late == 0, "gradients that were complete changed with" << other.text());
      }
  }
}

/// Sums in another order differ by float's rounding. With bfloat16 a rounded operand may fall to the other side. Both
/// are far less than what the masks of other places change.
template <class Subject>
void check_parts(const std::vector<Options>& all) {
  for (auto how : all) {
    if ((how.accumulation && how.attention.name.empty()) || left_out<Subject>(how)) continue;
    for (const bool checkpointing : {false, true}) {
      how.checkpointing = checkpointing;
      how.accumulation = false;
      const auto whole = trained<Subject>(how);
      how.accumulation = true;
      const auto parts = trained<Subject>(how);
      BOOST_TEST(distance(parts.first_gradient, whole.first_gradient) <= (how.bfloat16 ? 1e-3 : 1e-5), how.text());
      BOOST_TEST(std::abs(parts.losses[0] - whole.losses[0]) <= 1e-5 * whole.losses[0], how.text());
      if (!how.dropout) continue;
      auto misplaced = how;
      misplaced.misplaced = true;
      BOOST_TEST(distance(trained<Subject>(misplaced).first_gradient, whole.first_gradient) > 0.05, how.text());
    }
  }
}

}  // namespace

BOOST_AUTO_TEST_SUITE(marian)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<Translation>(combinations()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<Translation>(combinations()); }
BOOST_AUTO_TEST_CASE(nor_do_they_with_options_of_attention) {
  check_bits<Translation>(attention_combinations());
  check_parts<Translation>(attention_combinations());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(each_projector)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<AnyTranslation>(projectors()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<AnyTranslation>(projectors()); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(convolutions)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<ConvolvedTranslation>(combinations()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<ConvolvedTranslation>(combinations()); }
BOOST_AUTO_TEST_CASE(nor_do_they_with_values_of_the_first_layer_or_another_width) {
  for (const auto& cases : {value_residual_cases(), value_width_cases()}) {
    check_bits<ConvolvedTranslation>(attention_combinations(cases));
    check_parts<ConvolvedTranslation>(attention_combinations(cases));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(joint)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<JointMaskedLm>(combinations()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<JointMaskedLm>(combinations()); }
BOOST_AUTO_TEST_CASE(nor_do_they_with_values_of_the_first_layer_or_another_width) {
  for (const auto& cases : {value_residual_cases(), value_width_cases()}) {
    check_bits<JointMaskedLm>(attention_combinations(cases));
    check_parts<JointMaskedLm>(attention_combinations(cases));
  }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(gpt2)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<CausalLm>(combinations()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<CausalLm>(combinations()); }
BOOST_AUTO_TEST_CASE(nor_do_they_with_options_of_attention) {
  check_bits<CausalLm>(attention_combinations());
  check_parts<CausalLm>(attention_combinations());
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(roberta)

BOOST_AUTO_TEST_CASE(recomputing_and_threads_change_no_bit) { check_bits<MaskedLm>(combinations()); }
BOOST_AUTO_TEST_CASE(parts_equal_the_undivided_batch) { check_parts<MaskedLm>(combinations()); }
BOOST_AUTO_TEST_CASE(nor_do_they_with_options_of_attention) {
  check_bits<MaskedLm>(attention_combinations());
  check_parts<MaskedLm>(attention_combinations());
}

BOOST_AUTO_TEST_SUITE_END()
