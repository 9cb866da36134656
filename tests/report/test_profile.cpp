// Profiles: calls and floating point operations against numbers computed by hand, the modules and phases of operations,
// host work, options together, Chrome's trace events; and that nothing changes where no one measures.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE profile
#include <boost/test/unit_test.hpp>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "models/tiny_marian.hpp"
#include "models/tiny_roberta.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/io/json_parser.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/report/profile_trace.hpp"
#include "neural_attention/train/training_step.hpp"
#include "sanitized.hpp"

using namespace neural_attention;
using report::Phase;
using report::Profile;
using report::ProfileRow;
using B = Cpu<float>;
using TinyMarian = Marian<B, LinearProjections>;

namespace {

double sum(const std::vector<ProfileRow>& rows, auto&& value) {
  double total = 0.0;
  for (const auto& row : rows) total += double(value(row));
  return total;
}
double flop(const std::vector<ProfileRow>& rows, const std::string& operation, Phase phase) {
  return sum(rows, [&](const auto& row) { return row.operation == operation && row.phase == phase ? row.flop : 0.0; });
}
long calls(const std::vector<ProfileRow>& rows, const std::string& operation, Phase phase) {
  return std::lround(
      sum(rows, [&](const auto& row) { return row.operation == operation && row.phase == phase ? row.calls : 0; }));
}
long all_calls(const std::vector<ProfileRow>& rows, const std::string& operation) {
  return std::lround(sum(rows, [&](const auto& row) { return row.operation == operation ? row.calls : 0; }));
}
std::set<std::string> modules(const std::vector<ProfileRow>& rows, const std::string& operation, Phase phase) {
  std::set<std::string> found;
  for (const auto& row : rows)
    if (row.operation == operation && row.phase == phase) found.insert(row.module);
  return found;
}

struct Options {
  double dropout = 0.0;
  bool checkpointing = false;
  int parts = 1, threads = 1, steps = 1;
};

/// The rows of training steps of the tiny Marian, and its parameters behind them.
struct Trained {
  explicit Trained(const Options& options, bool measured = true) {
    std::optional<Profile> profile;
    if (measured) profile.emplace();
    B backend(options.threads);
    auto config = tiny::config(1, 4, options.dropout);
    config.gradient_checkpointing = options.checkpointing;
    TinyMarian model(backend, config);
    TrainingStep<TinyMarian> step(backend, model, {.learning_rate = 0.1, .label_smoothing = 0.1}, {});
    const auto all = tiny::pairs();
    const auto each = all.size() / static_cast<std::size_t>(options.parts);
    std::vector<TranslationBatch> parts;
    for (int i = 0; i < options.parts; ++i) parts.push_back(tiny::batch(all, static_cast<std::size_t>(i) * each, each));
    for (int i = 0; i < options.steps; ++i) losses.push_back(step.run(std::span(parts)).loss.smoothed);
    if (profile) rows = profile->rows();
    parameters = tiny::values(backend, model.parameters());
  }

  std::vector<ProfileRow> rows;
  std::vector<double> losses;
  std::vector<float> parameters;
};

// Of tiny::pairs(): 12 source and 11 target tokens in sentences of 4, 1, 5, 2 and 3, 2, 1, 5.
constexpr double weights = 2.0 * (12 * (4 * 4 * 4 + 2 * 4 * 5)                                 // encoder
                                  + 11 * (4 * 4 * 4 + 2 * 4 * 4 + 2 * 4 * 6) + 12 * 2 * 4 * 4  // decoder
                                  + 11 * 4 * 9);                                               // logits
constexpr double pairs = (16 + 1 + 25 + 4) + (6 + 3 + 1 + 15) + (4 * 3 + 1 * 2 + 5 * 1 + 2 * 5);
constexpr long linear_maps = 6 + 10 + 1;
constexpr long attentions = 3;

}  // namespace

BOOST_AUTO_TEST_SUITE(sums)

BOOST_AUTO_TEST_CASE(of_a_training_step_are_those_computed_by_hand) {
  const auto rows = Trained({}).rows;
  for (const auto& [operation, phase] : {std::pair{"linear", Phase::Forward},
                                         {"linear_input_gradient", Phase::Backward},
                                         {"linear_weight_gradient", Phase::Backward}}) {
    BOOST_TEST(calls(rows, operation, phase) == linear_maps, operation);
    BOOST_TEST(all_calls(rows, operation) == linear_maps, operation);
    BOOST_TEST(flop(rows, operation, phase) == weights, operation);
  }
  BOOST_TEST(calls(rows, "attention", Phase::Forward) == attentions);
  BOOST_TEST(flop(rows, "attention", Phase::Forward) == 4 * 4 * pairs);
  BOOST_TEST(flop(rows, "attention_backward", Phase::Backward) == 10 * 4 * pairs);
  BOOST_TEST(calls(rows, "layer_norm", Phase::Forward) == 5 + 3);  // all but the last of each layer are written again
  BOOST_TEST(calls(rows, "layer_norm_backward", Phase::Backward) == 5);
  BOOST_TEST(calls(rows, "clipping", Phase::Update) == 1);
  BOOST_TEST(calls(rows, "adam", Phase::Update) == all_calls(rows, "adam"));
  for (const auto& row : rows) {
    BOOST_TEST(row.calls > 0);
    BOOST_TEST(row.bytes >= 0.0);
    BOOST_TEST(row.seconds >= 0.0);
  }
}

BOOST_AUTO_TEST_CASE(count_bytes) {
  Profile profile;
  B backend(1);
  auto memory = backend.allocate(2 * 12 * sizeof(float));
  const RowsOf<float> x(static_cast<float*>(memory.data()), 3, 4), y(x.data + 12, 3, 4);
  for (int i = 0; i < 5; ++i) backend(ops::Copy<B>{.x = x, .y = y});
  const auto rows = profile.rows();
  BOOST_REQUIRE(rows.size() == 1u);
  BOOST_TEST(rows[0].operation == "copy");
  BOOST_TEST(rows[0].module == "");
  BOOST_TEST(rows[0].calls == 5);
  BOOST_TEST(rows[0].bytes == 5 * 2 * 12 * sizeof(float));
}

BOOST_AUTO_TEST_CASE(under_checkpointing_accumulation_and_threads_together) {
  for (const double dropout : {0.0, 0.1})
    for (const bool checkpointing : {false, true})
      for (const int parts : {1, 2})
        for (const int threads : {1, 2}) {
          const auto rows = Trained({dropout, checkpointing, parts, threads, 2}).rows;
          BOOST_TEST_CONTEXT("dropout " << dropout << ", checkpointing " << checkpointing << ", parts " << parts
                                        << ", threads " << threads) {
            const double again = checkpointing ? 2.0 * (weights - 2.0 * 11 * 4 * 9) + 2.0 * 11 * 4 * 9 : weights;
            BOOST_TEST(flop(rows, "linear", Phase::Forward) == 2 * again);  // the logits are not made again
            BOOST_TEST(flop(rows, "linear", Phase::Backward) == 0.0);
            BOOST_TEST(flop(rows, "linear_input_gradient", Phase::Backward) == 2 * weights);
            BOOST_TEST(flop(rows, "linear_weight_gradient", Phase::Backward) == 2 * weights);
            BOOST_TEST(flop(rows, "attention", Phase::Forward) == (checkpointing ? 4 : 2) * 4 * 4 * pairs);
            BOOST_TEST(calls(rows, "linear_weight_gradient", Phase::Backward) == 2 * parts * linear_maps);
            BOOST_TEST(calls(rows, "clipping", Phase::Update) == 2);
            BOOST_TEST((calls(rows, "dropout", Phase::Backward) > 0));
          }
        }
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(modules_and_phases)

BOOST_AUTO_TEST_CASE(of_a_marian_are_the_names_of_its_modules) {
  const auto rows = Trained({.dropout = 0.1}).rows;
  std::set<std::string> maps = {"model.shared"};
  for (const std::string attention :
       {"encoder.layers.0.self_attn", "decoder.layers.0.self_attn", "decoder.layers.0.encoder_attn"})
    for (const std::string role : {"q_proj", "k_proj", "v_proj", "out_proj"})
      maps.insert("model." + attention + "." + role);
  for (const std::string map :
       {"encoder.layers.0.fc1", "encoder.layers.0.fc2", "decoder.layers.0.fc1", "decoder.layers.0.fc2"})
    maps.insert("model." + map);
  BOOST_TEST(modules(rows, "linear", Phase::Forward) == maps);
  BOOST_TEST(modules(rows, "linear_input_gradient", Phase::Backward) == maps);
  BOOST_TEST(modules(rows, "linear_weight_gradient", Phase::Backward) == maps);

  const std::set<std::string> attention = {"model.encoder.layers.0.self_attn", "model.decoder.layers.0.self_attn",
                                           "model.decoder.layers.0.encoder_attn"};
  BOOST_TEST(modules(rows, "attention", Phase::Forward) == attention);
  BOOST_TEST(modules(rows, "attention_backward", Phase::Backward) == attention);
  BOOST_TEST(modules(rows, "embedding_backward", Phase::Backward) == std::set<std::string>{"model.shared"});
  BOOST_TEST(modules(rows, "layer_norm", Phase::Forward).count("model.decoder.layers.0.final_layer_norm") == 1u);
  BOOST_TEST(modules(rows, "residual_dropout", Phase::Forward).count("model.encoder.layers.0.self_attn_layer_norm") ==
             1u);
  // What has no parameter and draws nothing belongs to the modules whose results it reads.
  BOOST_TEST(modules(rows, "activate", Phase::Forward) ==
             (std::set<std::string>{"model.encoder.layers.0.fc1", "model.decoder.layers.0.fc1"}));
  BOOST_TEST(modules(rows, "sum_losses", Phase::Forward) == std::set<std::string>{"final_logits_bias"});
  BOOST_TEST(modules(rows, "clipping", Phase::Update) == std::set<std::string>{"parameters"});
  BOOST_TEST(modules(rows, "fill", Phase::Update) == std::set<std::string>{"parameters"});
}

BOOST_AUTO_TEST_CASE(of_a_sequential_projector_and_a_roberta) {
  Profile profile;
  B backend(1);
  Roberta<B, tiny::Mixed> model(backend, tiny::roberta_config(2));
  TrainingStep<decltype(model)> step(backend, model, {}, {});
  const auto batch = tiny::masked_batch(tiny::masked_sequences());
  step.run(std::span(&batch, 1));
  const auto rows = profile.rows();
  const auto maps = modules(rows, "linear", Phase::Forward);
  for (const std::string map :
       {"roberta.encoder.layer.1.attention.self.query.0", "roberta.encoder.layer.0.attention.self.query.3",
        "lm_head.dense", "roberta.embeddings.word_embeddings", "roberta.encoder.layer.1.output.dense"})
    BOOST_TEST(maps.count(map) == 1u, map);
  BOOST_TEST(modules(rows, "attention", Phase::Forward).count("roberta.encoder.layer.1.attention.self") == 1u);
  BOOST_TEST(maps == modules(rows, "linear_weight_gradient", Phase::Backward));

  std::set<std::string> folded;
  for (const auto& row : profile.rows(Profile::Layers::Folded)) folded.insert(row.module);
  BOOST_TEST(folded.count("roberta.encoder.layer.*.attention.self.query.3") == 1u);
  BOOST_TEST(folded.count("roberta.encoder.layer.1.attention.self.query.3") == 0u);
  BOOST_TEST(sum(profile.rows(Profile::Layers::Folded), [](const auto& row) { return row.flop; }) ==
             sum(rows, [](const auto& row) { return row.flop; }));
}

BOOST_AUTO_TEST_CASE(of_decoding_are_named) {
  Profile profile;
  B backend(1);
  const TinyMarian model(backend, tiny::config(), 42, Purpose::Inference);
  PassMemory<B> memory(backend);
  TinyMarian::Saved saved;
  const auto batch = tiny::batch(tiny::pairs());
  const auto pass = memory.begin_inference();
  auto state = model.begin_decoding(pass, batch, 4, 1, saved);
  const std::vector<int> ids(4, 8);
  const auto logits = pass.scratch.rows(4, 9);
  model.decode_next(pass, ids, state, logits);
  const auto rows = profile.rows();
  BOOST_TEST(modules(rows, "attention_round", Phase::Forward) ==
             (std::set<std::string>{"model.decoder.layers.0.self_attn", "model.decoder.layers.0.encoder_attn"}));
  for (const auto& row : rows) BOOST_TEST((row.phase != Phase::Backward), row.operation);
}

BOOST_AUTO_TEST_CASE(of_a_model_that_has_gone_are_forgotten) {
  Profile profile;
  B backend(1);
  Rows<B> where;
  {
    const TinyMarian model(backend, tiny::config());
    where = model.parameters().values();
    backend(ops::Scale<B>{.x = where.columns(0, 4), .factor = 1.0});
    BOOST_TEST(modules(profile.rows(), "scale", Phase::Update) == std::set<std::string>{"model.shared"});
  }
  const auto memory = backend.allocate(1 << 20);
  OperationFacts::Operand operand{ops::Access::Update, range_of(where.columns(0, 4))};
  const auto now = profile.now();
  profile.ran({.name = "late", .operands = {&operand, 1}}, now, now);
  BOOST_TEST(modules(profile.rows(), "late", Phase::Update).empty());
}

BOOST_AUTO_TEST_CASE(only_the_first_number_of_a_path_is_folded) {
  BOOST_TEST(report::with_folded_layers("model.layers.12.k_proj.0") == "model.layers.*.k_proj.0");
  BOOST_TEST(report::with_folded_layers("") == "");
  BOOST_TEST(report::with_folded_layers("lm_head") == "lm_head");
  BOOST_TEST(report::with_folded_layers("7") == "*");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(host_work)

BOOST_AUTO_TEST_CASE(does_not_count_what_is_inside_of_it) {
  using std::chrono::milliseconds;
  Profile profile;
  const auto wait = [](int time) { std::this_thread::sleep_for(milliseconds(time)); };
  {
    const HostWork outer("outer");
    wait(20);
    {
      const HostWork inner("inner");
      wait(30);
      const auto begin = profile.now();
      profile.ran({.name = "operation"}, begin, begin + 25'000'000);
    }
  }
  profile.stop();
  std::map<std::string, ProfileRow> rows;
  for (const auto& row : profile.rows()) rows[row.operation] = row;
  BOOST_TEST(rows.at("outer").seconds >= 0.020);
  BOOST_TEST(rows.at("outer").seconds < 0.030);  // without the 30 ms inside
  BOOST_TEST(rows.at("inner").seconds < 0.030);  // without the 25 ms of the operation
  BOOST_TEST(rows.at("inner").seconds >= 0.005);
  BOOST_TEST(rows.at("operation").seconds == 0.025);
  BOOST_TEST((rows.at("outer").phase == Phase::Host));
  BOOST_TEST(sum(profile.rows(), [](const auto& row) { return row.seconds; }) <= profile.wall_seconds() + 0.025);
  const HostWork later("later");  // nobody is told
}

BOOST_AUTO_TEST_CASE(of_several_threads_is_kept_apart) {
  Profile profile;
  const auto work = [&] {
    B backend(1);
    auto memory = backend.allocate(64);
    const RowsOf<float> x(static_cast<float*>(memory.data()), 1, 16);
    for (int i = 0; i < 200; ++i) {
      const HostWork scope("filling");
      backend(ops::Fill<B>{.x = x, .value = 1.0f});
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(work);
  for (auto& thread : threads) thread.join();
  profile.stop();
  BOOST_TEST(all_calls(profile.rows(), "fill") == 600);
  BOOST_TEST(all_calls(profile.rows(), "filling") == 600);
  std::set<int> numbers;
  for (const auto& event : profile.events()) numbers.insert(event.thread);
  BOOST_TEST(numbers.size() == 3u);
}

BOOST_AUTO_TEST_CASE(and_operations_account_for_the_time_of_a_step) {
  if (NEURAL_ATTENTION_SANITIZED) return;
  Profile profile;
  B backend(1);
  auto config = tiny::config(2, 96);
  config.vocab_size = 1000;
  config.pad_token_id = 999;
  config.encoder_ffn_dim = config.decoder_ffn_dim = 384;
  config.max_position_embeddings = 64;
  TinyMarian model(backend, config);
  TrainingStep<TinyMarian> step(backend, model, {}, {});
  TranslationBatch batch(999);
  for (int i = 0; i < 12; ++i) batch.push(std::vector<int>(30, i + 1), std::vector<int>(32, i + 2));
  const auto accounted = [&] { return sum(profile.rows(), [](const auto& row) { return row.seconds; }); };
  step.run(std::span(&batch, 1));
  const double sum_before = accounted(), wall_before = profile.wall_seconds();
  for (int i = 0; i < 3; ++i) step.run(std::span(&batch, 1));
  const double wall = profile.wall_seconds() - wall_before, share = (accounted() - sum_before) / wall;
  BOOST_TEST_MESSAGE("operations take " << 100 * share << "% of steps of " << wall / 3 << " s");
  BOOST_TEST(share > 0.9);
  BOOST_TEST(share <= 1.0);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(measuring)

BOOST_AUTO_TEST_CASE(changes_no_number) {
  const Options options{0.1, true, 2, 2, 3};
  const Trained with(options), without(options, false);
  BOOST_TEST(with.parameters == without.parameters);
  BOOST_TEST(with.losses == without.losses);
}

BOOST_AUTO_TEST_CASE(is_off_where_there_is_no_profile) {
  BOOST_TEST(active_observer() == nullptr);
  {
    Profile profile;
    BOOST_TEST(active_observer() == &profile);
    BOOST_CHECK_THROW(Profile another, ConfigError);
    profile.stop();
    BOOST_TEST(active_observer() == nullptr);
    B backend(1);
    TinyMarian model(backend, tiny::config());
    BOOST_TEST(profile.rows().empty());
    const auto wall = profile.wall_seconds();
    BOOST_TEST(profile.wall_seconds() == wall);
  }
  BOOST_TEST(active_observer() == nullptr);
}

BOOST_AUTO_TEST_CASE(leaves_models_that_live_longer_alone) {
  B backend(1);
  std::optional<Profile> profile(std::in_place);
  auto model = std::make_unique<TinyMarian>(backend, tiny::config());
  profile.reset();
  model.reset();
  // A store may move, and its names with it.
  profile.emplace();
  TinyMarian other(backend, tiny::config());
  const auto store = std::move(other.parameters());
  backend(ops::Scale<B>{.x = store.values().columns(0, 4), .factor = 1.0});
  BOOST_TEST(modules(profile->rows(), "scale", Phase::Update) == std::set<std::string>{"model.shared"});
}

BOOST_AUTO_TEST_CASE(keeps_so_many_calls_and_all_sums) {
  Profile profile(7);
  B backend(1);
  auto memory = backend.allocate(64);
  const RowsOf<float> x(static_cast<float*>(memory.data()), 1, 16);
  for (int i = 0; i < 20; ++i) backend(ops::Fill<B>{.x = x, .value = 1.0f});
  BOOST_TEST(profile.events().size() == 7u);
  BOOST_TEST(profile.events_left_out() == 13);
  BOOST_TEST(all_calls(profile.rows(), "fill") == 20);
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(traces)

BOOST_AUTO_TEST_CASE(are_complete_events_that_any_json_reader_takes) {
  Profile profile(30);
  B backend(1);
  TinyMarian model(backend, tiny::config());
  TrainingStep<TinyMarian> step(backend, model, {}, {});
  const auto batch = tiny::batch(tiny::pairs());
  { const HostWork scope("making batches"); }
  step.run(std::span(&batch, 1));
  profile.stop();
  const auto json = io::parse_json(report::chrome_trace(profile), "trace.json");
  const auto& events = json.at("traceEvents");
  BOOST_REQUIRE(events.size() == 30u);
  for (std::size_t i = 0; i < events.size(); ++i) {
    const auto& event = events[i];
    const auto& kept = profile.events()[i];
    BOOST_TEST(event.at("ph") == "X");
    BOOST_TEST(event.at("pid") == 1);
    BOOST_TEST(event.at("tid") == 1);
    BOOST_TEST(event.at("name").get<std::string>() == profile.operation(kept));
    BOOST_TEST(event.at("ts").get<double>() == 1e-3 * double(kept.begin), boost::test_tools::tolerance(1e-9));
    BOOST_TEST(event.at("dur").get<double>() >= 0.0);
    BOOST_TEST(event.at("ts").get<double>() + event.at("dur").get<double>() <= 1e6 * profile.wall_seconds() + 0.01);
    if (event.at("cat") != "host") BOOST_TEST(event.at("args").at("module") == profile.module(kept));
  }
  BOOST_TEST(json.at("otherData").at("events_left_out") == profile.events_left_out());
  BOOST_TEST(json.at("otherData").at("wall_seconds") == profile.wall_seconds());
  const auto rows = profile.rows();
  BOOST_REQUIRE(json.at("rows").size() == rows.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    BOOST_TEST(json.at("rows")[i].at("operation") == rows[i].operation);
    BOOST_TEST(json.at("rows")[i].at("module") == rows[i].module);
    BOOST_TEST(json.at("rows")[i].at("phase") == std::string(name_of(rows[i].phase)));
    BOOST_TEST(json.at("rows")[i].at("calls") == rows[i].calls);
    BOOST_TEST(json.at("rows")[i].at("flop") == rows[i].flop);
  }
}

BOOST_AUTO_TEST_CASE(of_nothing_are_whole) {
  Profile profile;
  profile.stop();
  const auto json = io::parse_json(report::chrome_trace(profile), "trace.json");
  BOOST_TEST(json.at("traceEvents").empty());
  BOOST_TEST(json.at("rows").empty());
}

BOOST_AUTO_TEST_CASE(escape_names) {
  Profile profile;
  float numbers[4] = {};
  const NamedMemory tensor{"a\"b\\c\n\xFF\u00E4.weight", range_of(RowsOf<float>(numbers, 1, 4)),
                           NamedMemory::Holds::Values};
  const auto known = profile.know({&tensor, 1}, {});
  const OperationFacts::Operand operand{ops::Access::Read, tensor.memory};
  const auto now = profile.now();
  profile.ran({.name = "read", .operands = {&operand, 1}}, now, now);
  const auto json = io::parse_json(report::chrome_trace(profile), "trace.json");
  BOOST_TEST(json.at("traceEvents")[0].at("args").at("module") == "a\"b\\c\n?\u00E4");
}

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_CASE(a_backend_knows_its_peak) {
  const double one = Cpu<float>(1).peak_gflops();
  BOOST_TEST(one > 0.1);
  BOOST_TEST(one < 10'000.0);
}
