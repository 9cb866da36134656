// ModelBase: a body, which makes hidden states of a batch, and a head, which makes a loss of these; with their config
// and their parameters. A model class derives from it and says which parts it has and what they are called:
//
//   template <class B, class P>
//   class Tagger
//       : public ModelBase<Tagger<B, P>, TaggerConfig, EncoderBody<B, P, LearnedInput<B>>, TagHead<B>, TagBatch> {
//    public:
//     using Tagger::ModelBase::ModelBase;
//     static auto parts(const TaggerConfig& config) { return typename Tagger::Parts{"encoder", …, "head", …}; }
//   };
//
// models/bodies.hpp and models/tied_lm_head.hpp say what a body and a head have. GenerativeModel adds decoding.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "neural_attention/attention/arrangements.hpp"
#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/core/loss_sum.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/core/pass.hpp"

namespace neural_attention {

/// `BatchType` is what it is trained on: what the body reads, and the labels that the head wants. `Derived` has a
/// static function parts(config), which makes a Parts without memory.
template <class Derived, class ConfigType, class BodyType, class HeadType, class BatchType>
class ModelBase {
 public:
  using Config = ConfigType;
  using Body = BodyType;
  using Head = HeadType;
  using Batch = BatchType;
  using Backend = typename Body::Backend;
  using Projections = typename Body::Projections;
  using B = Backend;

  /// What forward keeps for backward. It lives from step to step, so that its vectors stop growing.
  struct Saved {
    typename Body::Saved body;
    typename Head::Saved head;
  };

  struct Parts {
    std::string body_name;  ///< in front of the names of its parameters
    Body body;
    std::string head_name;
    Head head;
  };

  /// Initial weights follow from `seed`; without one (std::nullopt) they are zero, to be loaded. Throws ConfigError
  /// if the sizes make no sense.
  ModelBase(B& backend, const Config& config, std::optional<std::uint64_t> seed = 42,
            Purpose purpose = Purpose::Training);

  /// Without memory: all that it can do is to say its config and its parameters' names and shapes.
  explicit ModelBase(const Config& config);

  /// use(model) with a model of such sizes that has no memory: to look whether a file has its parameters, or whether
  /// they are too many, before anything is allocated. Throws ConfigError if the sizes make no sense.
  static void inspect(const Config& config, auto&& use) {
    Derived outline(config);
    use(outline);
  }

  static void visit(auto& self, auto&& visitor) {
    visitor(self.parts_.body_name, self.parts_.body);
    visitor(self.parts_.head_name, self.parts_.head);
  }

  /// What files may hold otherwise: {other name, name} of a tensor, tensors that may be missing, and what does not
  /// belong to the model (patterns). A model with such files has its own.
  static constexpr std::array<std::array<std::string_view, 2>, 0> aliases = {};
  static constexpr std::array<std::string_view, 0> optional_names = {};
  static constexpr std::array<std::string_view, 0> ignored_names = {};

  const Config& config() const { return config_; }
  ParameterStore<B>& parameters() { return parameters_; }
  const ParameterStore<B>& parameters() const { return parameters_; }
  const Body& body() const { return parts_.body; }
  const Head& head() const { return parts_.head; }

  /// Throws ShapeError if the batch does not fit the model: ids beyond the vocabulary, sequences beyond the
  /// positions, labels that the head does not know, or lists of the batch that do not belong together.
  void check(const Batch& batch) const {
    body().check(batch);
    head().check(batch);
  }

  /// The sums of the loss over a batch, without gradients. Waits for them. Throws ShapeError if the batch does not fit
  /// the model.
  LossSum loss(const Pass<B>& pass, const Batch& batch, double smoothing, Saved& saved) const;

  /// Forward and backward: writes or adds the sums of the loss to `outcome` as `into` says, and adds
  /// gradient_scale · their gradients. For the gradient of a mean over N labels, gradient_scale is 1/N. Throws as
  /// loss(), and ConfigError for a model that was made for inference.
  void loss_and_gradient(const Pass<B>& pass, const Batch& batch, double smoothing, double gradient_scale, Into into,
                         StepOutcome* outcome, Saved& saved);

 private:
  Config config_;
  Parts parts_;
  ParameterStore<B> parameters_;
};

template <class Derived, class Config, class Body, class Head, class Batch>
ModelBase<Derived, Config, Body, Head, Batch>::ModelBase(const Config& config)
    : config_((config.validate(), with_preset_options<Projections>(with_type_names<B, Projections>(config)))),
      parts_(Derived::parts(config_)),
      parameters_(ParameterStore<B>::outline(*this, file_layout_of<Derived>())) {}

template <class Derived, class Config, class Body, class Head, class Batch>
ModelBase<Derived, Config, Body, Head, Batch>::ModelBase(B& backend, const Config& config,
                                                         std::optional<std::uint64_t> seed, Purpose purpose)
    : ModelBase(config) {
  parameters_.allocate(backend, *this, purpose);
  parts_.body.allocate(backend);
  if (seed) parameters_.initialise(*seed);
}

template <class Derived, class Config, class Body, class Head, class Batch>
LossSum ModelBase<Derived, Config, Body, Head, Batch>::loss(const Pass<B>& pass, const Batch& batch, double smoothing,
                                                            Saved& saved) const {
  check(batch);
  const auto hidden = body().forward(pass, batch, saved.body);
  return head().loss(pass.at(Body::place(batch)), body().words(), hidden, batch, smoothing, saved.head);
}

template <class Derived, class Config, class Body, class Head, class Batch>
void ModelBase<Derived, Config, Body, Head, Batch>::loss_and_gradient(const Pass<B>& pass, const Batch& batch,
                                                                      double smoothing, double gradient_scale,
                                                                      Into into, StepOutcome* outcome, Saved& saved) {
  parameters_.require_gradients();
  check(batch);
  const auto hidden = body().forward(pass, batch, saved.body);
  const ArenaScope scope(pass.scratch);
  const auto dhidden = pass.scratch.rows(hidden.rows, hidden.cols);
  parts_.head.loss_and_gradient(pass.at(Body::place(batch)), parts_.body.words(), hidden, batch, smoothing,
                                gradient_scale, dhidden, into, outcome, saved.head);
  parts_.body.backward(pass, dhidden, batch, saved.body);
}

}  // namespace neural_attention
