// Marian against Hugging Face's, tensor by tensor: tests/reference/marian_goldens.py wrote what a tiny float64 model of
// each preset computes: embeddings, layers, logits, losses, all gradients, ten AdamW steps and greedy translations.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE models_marian_goldens
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "golden_file.hpp"
#include "models/perturbed.hpp"
#include "models/tiny_marian.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/decode/greedy.hpp"
#include "neural_attention/train/training_step.hpp"

using namespace neural_attention;

namespace {

constexpr double tolerance = 1e-9;

using Mixed = Projections<Linear, Neural, PlainNeural, Neural>;

nlohmann::json description(const std::string& preset) {
  std::ifstream file(std::string(NEURAL_ATTENTION_GOLDEN_DIR) + "/marian/" + preset + ".json");
  if (!file) throw std::runtime_error("there is no description of the golden preset " + preset);
  return nlohmann::json::parse(file);
}

MarianConfig config_of(const nlohmann::json& description) {
  const auto& from = description.at("config");
  MarianConfig config;
  config.vocab_size = from.at("vocab_size");
  config.d_model = from.at("d_model");
  config.encoder_layers = from.at("encoder_layers");
  config.decoder_layers = from.at("decoder_layers");
  config.encoder_attention_heads = from.at("encoder_attention_heads");
  config.decoder_attention_heads = from.at("decoder_attention_heads");
  config.encoder_ffn_dim = from.at("encoder_ffn_dim");
  config.decoder_ffn_dim = from.at("decoder_ffn_dim");
  config.max_position_embeddings = from.at("max_position_embeddings");
  BOOST_REQUIRE(from.at("activation_function") == "swish");
  config.activation_function = Activation::Silu;
  for (const char* rate : {"dropout", "attention_dropout", "activation_dropout"}) BOOST_REQUIRE(from.at(rate) == 0.0);
  config.dropout = 0.0;
  config.scale_embedding = from.at("scale_embedding");
  config.pad_token_id = from.at("pad_token_id");
  config.eos_token_id = from.at("eos_token_id");
  BOOST_REQUIRE(from.at("decoder_start_token_id") == from.at("pad_token_id"));
  for (auto* projector : {&config.query, &config.key, &config.value, &config.output})
    projector->expansion = description.at("projectors").at("expansion");
  return config;
}

/// Everything that is compared, under the names of the goldens.
using Results = std::map<std::string, std::vector<double>>;

template <class B, class T>
std::vector<double> on_host(B& backend, RowsOf<T> x) {
  std::vector<T> host(static_cast<std::size_t>(x.size()));
  backend.download(x, host);
  return {host.begin(), host.end()};
}

/// A model of one preset with the golden values and batch.
template <class B, class P>
struct Subject {
  Subject(const std::string& preset, golden::File& goldens, int threads = 1)
      : about(description(preset)),
        backend(threads),
        model(backend, config_of(about)),
        batch(model.config().pad_token_id) {
    load(goldens);
    sources = goldens.sequences("input.source_ids", "input.source_offsets");
    const auto targets = goldens.sequences("input.target_ids", "input.target_offsets");
    BOOST_REQUIRE(sources.size() == targets.size());
    BOOST_REQUIRE(!sources.empty());
    for (std::size_t i = 0; i < sources.size(); ++i) batch.push(sources[i], targets[i]);
  }

  void load(golden::File& goldens) {
    for (const auto& entry : model.parameters().entries()) {
      const auto name = "param." + entry.name;
      const auto expected =
          entry.vector ? std::vector<std::int64_t>{entry.cols} : std::vector<std::int64_t>{entry.rows, entry.cols};
      BOOST_TEST(goldens.shape(name) == expected, "the shape of " << name);
      backend.upload(goldens.read<typename B::Scalar>(name), model.parameters().value(entry));
    }
  }

  void forward(Results& results) {
    auto step = memory.begin(true);
    model.check(batch);
    const auto encoded = model.encode(step, batch, saved);
    const auto decoded = model.decode(step, batch, encoded, saved);
    results["output.encoder_embedding"] = on_host(backend, saved.source_embedding);
    results["output.decoder_embedding"] = on_host(backend, saved.target_embedding);
    const auto layers = [&](const std::string& side, const auto& outputs) {
      for (std::size_t i = 0; i < outputs.size(); ++i)
        results["output." + side + "_layer." + std::to_string(i)] = on_host(backend, outputs[i]);
    };
    layers("encoder", saved.encoder.outputs);
    layers("decoder", saved.decoder.outputs);
    results["output.encoder"] = on_host(backend, encoded);
    results["output.decoder"] = on_host(backend, decoded);
    const auto logits = step.scratch.rows(decoded.rows, model.config().vocab_size);
    model.logits(step, decoded, logits);
    results["output.logits"] = on_host(backend, logits);
  }

  void gradients(Results& results, const std::string& prefix, const std::string& loss_name, double smoothing) {
    const auto tokens = static_cast<double>(batch.labels.size());
    model.parameters().zero_gradients();
    auto step = memory.begin(true);
    const auto sums = model.loss_and_gradient(step, batch, smoothing, 1.0 / tokens, saved);
    BOOST_TEST(sums.tokens == static_cast<long>(tokens));
    results[loss_name] = {sums.smoothed / tokens};
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results[prefix + entry.name] = on_host(backend, model.parameters().gradient(entry));
    auto inference = memory.begin(false);
    const auto alone = model.loss(inference, batch, smoothing, saved);
    if constexpr (!std::is_same_v<B, Perturbed>) {  // its errors differ from call to call
      const double few_bits = 8 * static_cast<double>(std::numeric_limits<typename B::Scalar>::epsilon());
      BOOST_TEST(std::abs(alone.smoothed - sums.smoothed) <= few_bits * sums.smoothed);
      BOOST_TEST(std::abs(alone.negative_log_likelihood - sums.negative_log_likelihood) <=
                 few_bits * sums.negative_log_likelihood);
    }
  }

  void train(Results& results) {
    const auto& how = about.at("adamw");
    StepOptions options;
    options.learning_rate = how.at("learning_rate");
    options.schedule = {Schedule::Kind::Linear, 0, how.at("steps")};
    options.max_gradient_norm = how.at("max_gradient_norm");
    AdamOptions adam;
    adam.beta1 = how.at("betas").at(0);
    adam.beta2 = how.at("betas").at(1);
    adam.epsilon = how.at("eps");
    adam.weight_decay = how.at("weight_decay");
    const std::set<std::string> undecayed = how.at("no_decay_parameters");
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) BOOST_TEST(entry.vector == undecayed.contains(entry.name), entry.name);
    TrainingStep<Marian<B, P>> training(backend, model, options, adam);
    for (int i = 0; i < how.at("steps").template get<int>(); ++i) {
      const auto result = training.run(std::span(&batch, 1));
      results["adamw.losses"].push_back(result.loss.smoothed / double(result.loss.tokens));
      results["adamw.gradient_norms"].push_back(result.gradient_norm);
      results["adamw.learning_rates"].push_back(result.learning_rate);
    }
    for (const auto& entry : model.parameters().entries())
      if (entry.trained) results["adamw." + entry.name] = on_host(backend, model.parameters().value(entry));
  }

  /// With the end-of-sentence ids, as in the goldens.
  std::vector<std::vector<int>> translate() {
    GreedyDecoder<Marian<B, P>> decoder(backend, model);
    auto translations = decoder(batch, {about.at("generation").at("max_length").template get<int>()});
    for (auto& ids : translations) ids.push_back(model.config().eos_token_id);
    return translations;
  }

  /// All that needs no training.
  Results run() {
    Results results;
    forward(results);
    gradients(results, "grad.", "output.loss", 0.0);
    gradients(results, "grad_smoothed.", "output.loss_smoothed", about.at("label_smoothing"));
    return results;
  }

  nlohmann::json about;
  B backend;
  Marian<B, P> model;
  TranslationBatch batch;
  std::vector<std::vector<int>> sources;
  StepMemory<B> memory{backend};
  typename Marian<B, P>::Saved saved;
};

void compare(const Results& results, golden::File& goldens) {
  BOOST_REQUIRE(!results.empty());
  for (const auto& [name, found] : results) {
    const double difference = golden::difference(found, goldens.read<double>(name));
    BOOST_TEST(difference <= tolerance, name << " differs by " << difference);
  }
}

template <class P>
void check_double(const std::string& preset) {
  golden::File goldens("marian/" + preset + ".safetensors");
  Subject<Cpu<double>, P> subject(preset, goldens);
  const auto& store = subject.model.parameters();
  BOOST_TEST(store.count() == subject.about.at("parameter_count").template get<std::ptrdiff_t>());

  auto results = subject.run();
  std::size_t zero = 0;
  for (const std::string name : subject.about.at("zero_gradient_parameters")) {
    for (const char* prefix : {"grad.", "grad_smoothed."})
      for (const double g : results.at(prefix + name)) BOOST_TEST(std::abs(g) <= tolerance);
    ++zero;
  }
  BOOST_TEST(zero == 6u);

  const auto translations = subject.translate();
  BOOST_TEST((translations == goldens.sequences("output.greedy", "output.greedy_offsets")));
  for (std::size_t i = 0; i < subject.sources.size(); ++i) {
    TranslationBatch alone(subject.model.config().pad_token_id);
    alone.push(subject.sources[i], {});
    GreedyDecoder<Marian<Cpu<double>, P>> decoder(subject.backend, subject.model);
    auto ids = decoder(alone, {subject.about.at("generation").at("max_length").template get<int>()});
    BOOST_REQUIRE(ids.size() == 1u);
    ids[0].push_back(subject.model.config().eos_token_id);
    BOOST_TEST(ids[0] == translations[i]);
  }

  // The baseline computes what `linear` does under other names; its file is shorter.
  const bool complete = preset != "paper_marian_baseline";
  BOOST_REQUIRE(subject.about.at("has_adamw") == complete);
  BOOST_REQUIRE(subject.about.at("has_grad_smoothed") == complete);
  if (complete)
    subject.train(results);
  else
    std::erase_if(results, [](const auto& result) { return result.first.starts_with("grad_smoothed."); });
  compare(results, goldens);
  BOOST_TEST(goldens.unused() == std::vector<std::string>{}, boost::test_tools::per_element());
}

template <class B, class P>
Results everything(const std::string& preset, golden::File& goldens, int seed = 1) {
  Subject<B, P> subject(preset, goldens, seed);
  auto results = subject.run();
  if (subject.about.at("has_adamw")) {
    subject.train(results);
    results.erase("adamw.learning_rates");  // no arithmetic of the backend
  }
  if (!subject.about.at("has_grad_smoothed"))
    std::erase_if(results, [](const auto& result) { return result.first.starts_with("grad_smoothed."); });
  return results;
}

/// Single precision. Its error ‖float - golden‖ of each tensor must be within four standard deviations of zero, where
/// the deviation is the root mean square of that error in eight runs of Perturbed: double precision in which every
/// operation has a random error of the size that the norms of its operands allow float.
template <class P>
void check_float(const std::string& preset) {
  constexpr int runs = 8;
  constexpr double deviations = 4.0;
  golden::File goldens("marian/" + preset + ".safetensors");
  const auto found = everything<Cpu<float>, P>(preset, goldens);
  std::map<std::string, double> squares;
  for (int seed = 1; seed <= runs; ++seed)
    for (const auto& [name, perturbed] : everything<Perturbed, P>(preset, goldens, seed))
      squares[name] += std::pow(golden::distance(perturbed, goldens.read<double>(name)), 2);
  BOOST_REQUIRE(found.size() > 80u);
  BOOST_REQUIRE(squares.size() == found.size());
  double worst = 0.0;
  std::size_t exact = 0;
  for (const auto& [name, values] : found) {
    const auto expected = goldens.read<double>(name);
    const double error = golden::distance(values, expected);
    const double bound = deviations * std::sqrt(squares.at(name) / runs);
    const double size = golden::distance(expected, std::vector<double>(expected.size()));
    BOOST_TEST(error <= bound, name << " is off by " << error << ", the bound is " << bound);
    // The bound itself must mean something: a thousandth of the tensor. Not so for gradients that are zero, nor for
    // what Adam makes of them: it divides by their size, so rounding decides where such elements go.
    if (size > 1e-9 && !name.starts_with("adamw.model.")) {
      BOOST_TEST(bound <= 1e-3 * size, name << " has the bound " << bound << ", its norm is " << size);
      worst = std::max(worst, bound / size);
    }
    exact += error == 0.0;
  }
  BOOST_TEST_MESSAGE(preset << ": the largest bound is " << worst << " of its tensor's norm");
  BOOST_TEST(exact < found.size());  // float is not double

  Subject<Cpu<float>, P> subject(preset, goldens);
  BOOST_TEST((subject.translate() == goldens.sequences("output.greedy", "output.greedy_offsets")));
}

}  // namespace

BOOST_AUTO_TEST_SUITE(in_double)

BOOST_AUTO_TEST_CASE(linear_projectors) { check_double<LinearProjections>("linear"); }
BOOST_AUTO_TEST_CASE(paper_marian) { check_double<neural_attention::paper::marian>("paper_marian"); }
BOOST_AUTO_TEST_CASE(paper_marian_baseline) {
  check_double<neural_attention::paper::marian_baseline>("paper_marian_baseline");
}
BOOST_AUTO_TEST_CASE(plain_neural) { check_double<tiny::AllPlain>("plain_neural"); }
BOOST_AUTO_TEST_CASE(mixed) { check_double<Mixed>("mixed"); }

BOOST_AUTO_TEST_SUITE_END()

BOOST_AUTO_TEST_SUITE(in_float)

BOOST_AUTO_TEST_CASE(linear_projectors) { check_float<LinearProjections>("linear"); }
BOOST_AUTO_TEST_CASE(paper_marian) { check_float<neural_attention::paper::marian>("paper_marian"); }
BOOST_AUTO_TEST_CASE(paper_marian_baseline) {
  check_float<neural_attention::paper::marian_baseline>("paper_marian_baseline");
}
BOOST_AUTO_TEST_CASE(plain_neural) { check_float<tiny::AllPlain>("plain_neural"); }
BOOST_AUTO_TEST_CASE(mixed) { check_float<Mixed>("mixed"); }

BOOST_AUTO_TEST_SUITE_END()
