// The contracts of models on one page: what trainer, loader, generator and services need of one, and nothing else.
//   Trainable       TrainingStep, Trainer
//   Stored          load_model, save_model
//   ChosenByName    AnyModel
//   Decodable       Generator, Translator, TextGenerator
//   ShowsAttention  Translator's attention maps
//   FillsMasks      MaskFiller
// Each has a check that says in one sentence what a type lacks. ModelBase and GenerativeModel (models/) fulfil them for
// any body and head. The contract of a module stands in concepts.hpp.
#pragma once

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "neural_attention/core/loss_sum.hpp"
#include "neural_attention/core/masked_batch.hpp"
#include "neural_attention/core/packed_tokens.hpp"
#include "neural_attention/core/parameter.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// Backend: where it computes. Saved: what forward keeps for backward.
template <class M>
concept HasModelTypes = requires {
  typename M::Backend;
  typename M::Saved;
};

/// The numbers of the model.
template <class M>
concept HasParameters = requires(M& m, const M& constant) {
  { m.parameters() } -> std::same_as<ParameterStore<typename M::Backend>&>;
  { constant.parameters() } -> std::same_as<const ParameterStore<typename M::Backend>&>;
};

/// labels: one for each number in a loss sum; a mean divides by their count.
template <class Batch>
concept HasLabels = requires(const Batch& batch) {
  { batch.labels.size() } -> std::convertible_to<std::size_t>;
};

/// Sums of the loss over a batch, label-smoothed and not, without gradients. Throws ShapeError if the batch does not
/// fit.
template <class M, class Batch>
concept HasLoss = requires(const M m, const Pass<typename M::Backend>& pass, const Batch& batch,
                           typename M::Saved& saved) {
  { m.loss(pass, batch, 0.0, saved) } -> std::same_as<LossSum>;
};

/// Forward and backward: writes or adds the sums of the loss to `outcome` as `into` says, and adds
/// gradient_scale · their gradients to the gradients of the parameters.
template <class M, class Batch>
concept HasLossAndGradient = requires(M m, const Pass<typename M::Backend>& pass, const Batch& batch, Into into,
                                      StepOutcome* outcome, typename M::Saved& saved) {
  m.loss_and_gradient(pass, batch, 0.0, 1.0, into, outcome, saved);
};

/// A model that a TrainingStep can train on such batches. It may have check_targets(batch), which throws ConfigError
/// if a batch would teach the model an input that it never gets in use.
template <class M, class Batch>
concept Trainable =
    HasModelTypes<M> && HasParameters<M> && HasLabels<Batch> && HasLoss<M, Batch> && HasLossAndGradient<M, Batch>;

/// Says in one sentence what a model lacks to be trained on such batches.
template <class M, class Batch>
struct CheckTrainable {
  static constexpr bool types = HasModelTypes<M>;
  static_assert(types, "a trainable model needs types Backend and Saved");
  static_assert(!types || HasParameters<M>,
                "a trainable model needs ParameterStore<Backend>& parameters(), and the same for a const model");
  static_assert(HasLabels<Batch>, "the batches of a trainable model need labels, one for each number that a loss sums");
  static_assert(!types || HasLoss<M, Batch>,
                "a trainable model needs LossSum loss(const Pass<Backend>&, const Batch&, double smoothing, Saved&) "
                "const");
  static_assert(!types || HasLossAndGradient<M, Batch>,
                "a trainable model needs loss_and_gradient(const Pass<Backend>&, const Batch&, double smoothing, "
                "double gradient_scale, Into, StepOutcome*, Saved&)");
};

/// The sizes and rates that a model is made of.
template <class M>
concept HasConfig = requires(const M& m) {
  { m.config() } -> std::same_as<const typename M::Config&>;
};

/// use(model) with a model of such sizes that has no memory: files are compared with it before anything is allocated.
template <class M>
concept HasInspect = requires(const typename M::Config& config) {
  M::inspect(config, [](M&) {});
};

/// What files may hold otherwise: {other name, name} of a tensor, tensors that may be missing, and what does not belong
/// to the model (patterns).
template <class M>
concept HasFileNames = requires {
  { M::aliases.size() } -> std::convertible_to<std::size_t>;
  { M::optional_names.size() } -> std::convertible_to<std::size_t>;
  { M::ignored_names.size() } -> std::convertible_to<std::size_t>;
};

template <class M>
concept HasModelVisit = requires(M& m) {
  M::visit(m, [](const auto&, auto&) {});
};

/// A model that can be read from a directory and written to one. It may have position_tables, names of tables that it
/// computes and files may hold, with position_value(position, column).
template <class M>
concept Stored =
    HasModelTypes<M> && HasParameters<M> && HasModelVisit<M> && HasConfig<M> && HasInspect<M> && HasFileNames<M>;

/// Says in one sentence what a model lacks to be stored.
template <class M>
struct CheckStored {
  static constexpr bool types = HasModelTypes<M>;
  static_assert(types, "a stored model needs types Backend and Saved");
  static_assert(!types || HasParameters<M>,
                "a stored model needs ParameterStore<Backend>& parameters(), and the same for a const model");
  static_assert(HasModelVisit<M>, "a stored model needs static void visit(auto& self, auto&& visitor)");
  static_assert(HasConfig<M>, "a stored model needs a type Config and const Config& config() const");
  static_assert(HasInspect<M>, "a stored model needs static void inspect(const Config&, auto&& use)");
  static_assert(HasFileNames<M>, "a stored model needs static arrays aliases, optional_names and ignored_names");
};

/// A stored model of which an AnyModel holds one of several types: Projections has the projector type of each role, and
/// a config, an initial seed and a purpose construct it.
template <class M>
concept ChosenByName = Stored<M> && requires {
  typename M::Projections;
} && std::constructible_from<M, typename M::Backend&, const typename M::Config&, std::optional<std::uint64_t>, Purpose>;

/// Says in one sentence what a model lacks to be chosen by name.
template <class M>
struct CheckChosenByName : CheckStored<M> {
  static_assert(!Stored<M> || ChosenByName<M>,
                "a model of an AnyModel needs a type Projections and a constructor (Backend&, const Config&, "
                "std::optional<std::uint64_t> seed, Purpose)");
};

/// What results are made from (sources, beginnings of texts), and what the decoder remembers of the tokens so far.
template <class M>
concept HasDecodingTypes = requires {
  typename M::Prompts;
  typename M::DecoderState;
};

/// check_prompts throws ShapeError if prompts do not fit; histories gives the tokens that each result begins with,
/// where `start` begins those whose prompts are something else.
template <class M>
concept HasHistories = requires(const M m, const typename M::Prompts& prompts, int start) {
  m.check_prompts(prompts);
  { m.histories(prompts, start) } -> std::same_as<PackedTokens>;
};

/// Row i of the state is prompt i, of which no token was read; at most `capacity` tokens follow in at most
/// `rows_per_prompt` rows each. reorder: row i becomes what row parents[i] was.
template <class M>
concept HasBeginDecoding = requires(const M m, const Pass<typename M::Backend>& pass,
                                    const typename M::Prompts& prompts, int capacity, int rows_per_prompt,
                                    typename M::Saved& saved, typename M::DecoderState& state,
                                    std::span<const int> parents) {
  { m.begin_decoding(pass, prompts, capacity, rows_per_prompt, saved) } -> std::same_as<typename M::DecoderState>;
  state.reorder(pass.backend, parents);
};

/// append reads sequence i of `runs` after what row i holds; decode_next reads one token a row, and writes logits
/// [rows, vocabulary] of what follows.
template <class M>
concept HasDecodingRounds = requires(const M m, const Pass<typename M::Backend>& pass, const PackedTokens& runs,
                                     std::span<const int> ids, typename M::DecoderState& state,
                                     Rows<typename M::Backend> logits) {
  m.append(pass, runs, state);
  m.decode_next(pass, ids, state, logits);
};

/// Bytes that a row needs for each token.
template <class M>
concept HasCacheBytes = requires(const M m) {
  { m.cache_bytes() } -> std::convertible_to<std::int64_t>;
};

/// The properties of a model that a search needs.
template <class C>
concept HasDecodingSizes = requires(const C& config) {
  { config.vocab_size } -> std::convertible_to<int>;
  { config.max_position_embeddings } -> std::convertible_to<int>;
  { config.eos_token_id } -> std::convertible_to<int>;
  { config.pad_token_id } -> std::convertible_to<int>;
};

/// A model that a Generator can ask.
template <class M>
concept Decodable = HasModelTypes<M> && HasDecodingTypes<M> && HasConfig<M> && HasDecodingSizes<typename M::Config> &&
    HasHistories<M> && HasBeginDecoding<M> && HasDecodingRounds<M> && HasCacheBytes<M>;

/// Says in one sentence what a model lacks to be decoded.
template <class M>
struct CheckDecodable {
  static constexpr bool types = HasModelTypes<M> && HasDecodingTypes<M>;
  static_assert(types, "a decodable model needs types Backend, Saved, Prompts and DecoderState");
  static_assert(HasConfig<M>, "a decodable model needs a type Config and const Config& config() const");
  static_assert(
      !HasConfig<M> || requires { requires HasDecodingSizes<typename M::Config>; },
      "the config of a decodable model needs vocab_size, max_position_embeddings, eos_token_id and "
      "pad_token_id");
  static_assert(!types || HasHistories<M>,
                "a decodable model needs check_prompts(const Prompts&) const and PackedTokens histories(const "
                "Prompts&, int start) const");
  static_assert(!types || HasBeginDecoding<M>,
                "a decodable model needs DecoderState begin_decoding(const Pass<Backend>&, const Prompts&, int "
                "capacity, int rows_per_prompt, Saved&) const, and its state reorder(Backend&, std::span<const int>)");
  static_assert(!types || HasDecodingRounds<M>,
                "a decodable model needs append(const Pass<Backend>&, const PackedTokens& runs, DecoderState&) const "
                "and decode_next(const Pass<Backend>&, std::span<const int> ids, DecoderState&, Rows<Backend> logits) "
                "const");
  static_assert(HasCacheBytes<M>, "a decodable model needs std::int64_t cache_bytes() const");
};

/// The attention maps of a batch, layer by layer. Throws ShapeError if it does not fit.
template <class M, class Batch>
concept ShowsAttention = requires(const M m, const Pass<typename M::Backend>& pass, const Batch& batch,
                                  typename M::Saved& saved) {
  { m.cross_attention(pass, batch, saved).size() } -> std::convertible_to<std::size_t>;
};

/// Says in one sentence what a model lacks to show its attention.
template <class M, class Batch>
struct CheckShowsAttention {
  static_assert(ShowsAttention<M, Batch>,
                "a model that shows its attention needs std::vector<AttentionMap> cross_attention(const "
                "Pass<Backend>&, const Batch&, Saved&) const");
};

/// logits [masked tokens, vocabulary] of a batch on the scratch stack. Throws ShapeError if the batch does not fit.
template <class M>
concept HasMaskedLogits = requires(const M m, const Pass<typename M::Backend>& pass, const MaskedBatch& batch,
                                   typename M::Saved& saved) {
  { m.masked_logits(pass, batch, saved) } -> std::same_as<Rows<typename M::Backend>>;
};

/// A model that a MaskFiller can ask.
template <class M>
concept FillsMasks = HasModelTypes<M> && HasConfig<M> && HasMaskedLogits<M> && requires(const M& m) {
  { m.config().vocab_size } -> std::convertible_to<int>;
  { m.config().pad_token_id } -> std::convertible_to<int>;
  { m.config().longest_sequence() } -> std::convertible_to<int>;
};

/// Says in one sentence what a model lacks to fill masks.
template <class M>
struct CheckFillsMasks {
  static constexpr bool types = HasModelTypes<M>;
  static_assert(types, "a model that fills masks needs types Backend and Saved");
  static_assert(!types || HasMaskedLogits<M>,
                "a model that fills masks needs Rows<Backend> masked_logits(const Pass<Backend>&, const MaskedBatch&, "
                "Saved&) const");
  static_assert(!types || !HasMaskedLogits<M> || FillsMasks<M>,
                "a model that fills masks needs config() with vocab_size, pad_token_id and longest_sequence()");
};

}  // namespace neural_attention
