// Each form of projection learns, in every role that takes it: the loss on held-out text falls below 0.32 of a unigram
// model's. The tasks need what projections give. The translator gets four sentences at once; the masked language model
// gets each piece of text twice, so that what is masked in one half stands in the other. Without a role (its projection
// frozen at zero), the same models stay above the bound with the longest training: that of query or key makes all
// attention uniform, that of value or output takes it away.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE learning
#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <exception>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "examples/grammar_words.hpp"
#include "models/every_role.hpp"
#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/available_threads.hpp"
#include "neural_attention/models/marian.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/text/data/masked_lm_data.hpp"
#include "neural_attention/text/data/translation_data.hpp"
#include "neural_attention/trainer/trainer.hpp"

using namespace neural_attention;

namespace {

using B = Cpu<float>;
using grammar_words::Ids;

constexpr double bound = 0.32;  // of the unigram model's loss
constexpr int width = 32, heads = 2, feed_forward = 64;
constexpr long steps_alone = 800, most_steps = 1500;  // a form in one role, and in all

/// The batches of a task, and the unigram model's loss.
template <class Data>
struct Corpus {
  Data training, held_out;
  double unigram_loss;
};

text::BatchOptions batches(int tokens, bool shuffle) { return {.tokens = tokens, .shuffle = shuffle, .seed = 1}; }

struct Translation {
  using Model = Marian<B, AnyProjections>;
  using Data = text::TranslationData;
  static constexpr Roles<const char*> names = {"*.q_proj.*", "*.k_proj.*", "*.v_proj.*", "*.out_proj.*"};

  static MarianConfig config(int vocabulary) {
    MarianConfig config;
    config.vocab_size = vocabulary;
    config.d_model = width;
    config.encoder_layers = config.decoder_layers = 1;
    config.encoder_attention_heads = config.decoder_attention_heads = heads;
    config.encoder_ffn_dim = config.decoder_ffn_dim = feed_forward;
    config.max_position_embeddings = 64;
    config.dropout = 0.0;
    config.xavier_init = true;
    config.pad_token_id = grammar_words::pad;
    config.eos_token_id = grammar_words::end;
    return config;
  }

  static Corpus<Data> corpus(const grammar_words::Text& text) {
    std::vector<Ids> targets[2];
    const auto data = [&](const std::vector<grammar_words::Pair>& from, std::size_t count, bool training) {
      text::TokenizedPairs pairs;
      for (auto [source, target] : grammar_words::joined(from, 4, count)) {
        source.push_back(grammar_words::end);
        target.push_back(grammar_words::end);
        pairs.add(source, target);
        targets[training].push_back(std::move(target));
      }
      return Data(std::move(pairs), batches(400, training), grammar_words::pad);
    };
    auto training = data(text.training, 3000, true), held_out = data(text.held_out, 150, false);
    return {std::move(training), std::move(held_out),
            grammar_words::unigram_loss(targets[true], targets[false], text.vocabulary)};
  }
};

struct MaskedLm {
  using Model = Roberta<B, AnyProjections>;
  using Data = text::MaskedLmData;
  static constexpr Roles<const char*> names = {"*.self.query.*", "*.self.key.*", "*.self.value.*",
                                               "*.attention.output.dense.*"};

  static RobertaConfig config(int vocabulary) {
    RobertaConfig config;
    config.vocab_size = vocabulary;
    config.hidden_size = width;
    config.num_hidden_layers = 1;
    config.num_attention_heads = heads;
    config.intermediate_size = feed_forward;
    config.max_position_embeddings = 32;
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = 0.0;
    config.initializer_range = 0.18;
    return config;
  }

  static Corpus<Data> corpus(const grammar_words::Text& text) {
    const auto data = [&](const std::vector<Ids>& pieces, bool training) {
      text::TokenSequences sequences;
      for (const auto& piece : pieces) {
        Ids ids{grammar_words::begin};
        for (int half = 0; half < 2; ++half) {
          ids.insert(ids.end(), piece.begin(), piece.end());
          ids.push_back(grammar_words::end);
        }
        sequences.add(ids);
      }
      text::MaskingVocabulary known{std::vector<bool>(static_cast<std::size_t>(text.vocabulary)), grammar_words::mask,
                                    grammar_words::pad};
      std::fill_n(known.special.begin(), grammar_words::first_word, true);
      return Data(sequences, std::move(known), batches(600, training), {});
    };
    const auto training = grammar_words::pieces(text.training, 8), held_out = grammar_words::pieces(text.held_out, 8);
    return {data(training, true), data(held_out, false),
            grammar_words::unigram_loss(training, held_out, text.vocabulary)};
  }
};

/// A model to be trained, and what came of it.
template <class Config>
struct Run {
  std::string name;
  Config config;
  long steps;
  std::string frozen = {};  ///< parameters that stay zero
  double share = 0.0;       ///< the loss on held-out text, of the unigram model's
  std::string fault = {};
};

template <class Task>
class Learning {
 public:
  using Model = typename Task::Model;
  using Config = typename Model::Config;

  const Config linear() const { return Task::config(text_.vocabulary); }

  /// Trains all of them, as many at once as there are threads, each with one.
  void operator()(std::vector<Run<Config>>& runs) const {
    std::atomic<std::size_t> next{0};
    const auto work = [&] {
      for (std::size_t i = next++; i < runs.size(); i = next++) try {
          runs[i].share = held_out_loss(runs[i]) / corpus_.unigram_loss;
        } catch (const std::exception& error) {
          runs[i].fault = error.what();
        }
    };
    std::vector<std::thread> threads;
    for (int i = 1; i < available_threads(); ++i) threads.emplace_back(work);
    work();
    for (auto& thread : threads) thread.join();
    for (const auto& run : runs) {
      BOOST_TEST_MESSAGE(run.name << ": " << run.share);
      BOOST_TEST(run.fault == "", run.name << ": " << run.fault);
    }
  }

 private:
  double held_out_loss(const Run<Config>& run) const {
    B backend(1);
    Model model(backend, run.config, 3);
    AdamOptions adam{.beta2 = 0.98};
    if (!run.frozen.empty()) {
      adam.rates = {{run.frozen, 0.0}};
      for (const auto& entry : model.parameters().entries())
        if (matches(run.frozen, entry.name)) backend(ops::Fill<B>{.x = model.parameters().value(entry), .value = 0.0f});
      model.parameters().refresh();
    }
    TrainerOptions options;
    options.step.learning_rate = 5e-3;
    options.step.schedule = {Schedule::Kind::Linear, run.steps / 10};
    options.max_steps = options.eval_steps = run.steps;
    auto training = corpus_.training, held_out = corpus_.held_out;
    return Trainer(backend, model, training, held_out, options, adam, {}).run().valid_loss;
  }

  grammar_words::Text text_ = grammar_words::text();
  Corpus<typename Task::Data> corpus_ = Task::corpus(text_);
};

template <class Task>
void check_forms() {
  const Learning<Task> learn;
  std::vector<Run<typename Task::Model::Config>> runs;
  for (const std::string_view form : AnyProjector<B>::names) {
    runs.push_back(
        {std::string(form), every_role::config_with<typename Task::Model>(learn.linear(), form), most_steps});
    if (form == "linear") continue;
    int roles = 0;
    for (const char* const role : {"query", "key", "value", "output"}) {
      const auto config = every_role::config_with<typename Task::Model>(learn.linear(), form, role);
      if (!config) continue;
      runs.push_back({std::string(form) + " " + role, *config, steps_alone});
      ++roles;
    }
    BOOST_TEST(roles == (form == "joint_qkv" ? 0 : 4), form);
  }
  learn(runs);
  for (const auto& run : runs) BOOST_TEST(run.share < bound, run.name << " ends at " << run.share);
}

template <class Task>
void check_controls() {
  const Learning<Task> learn;
  std::vector<Run<typename Task::Model::Config>> runs;
  for_each_role(
      [&](const char* role, const char* names) {
        runs.push_back({std::string("without ") + role, learn.linear(), most_steps, names});
      },
      Task::names);
  learn(runs);
  for (const auto& run : runs) BOOST_TEST(run.share > bound, run.name << " ends at " << run.share);
}

}  // namespace

BOOST_AUTO_TEST_SUITE(marian_slow)

BOOST_AUTO_TEST_CASE(each_form_in_each_role) { check_forms<Translation>(); }
BOOST_AUTO_TEST_CASE(no_model_without_a_role) { check_controls<Translation>(); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(roberta_slow)

BOOST_AUTO_TEST_CASE(each_form_in_each_role) { check_forms<MaskedLm>(); }
BOOST_AUTO_TEST_CASE(no_model_without_a_role) { check_controls<MaskedLm>(); }

BOOST_AUTO_TEST_SUITE_END()
