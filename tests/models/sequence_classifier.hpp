// A classifier of sequences on RoBERTa's body: the head sees the first token of each, class logits = W₂ gelu(W₁ h).
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/io/model_config_json.hpp"
#include "neural_attention/io/roberta_config_json.hpp"
#include "neural_attention/models/roberta.hpp"
#include "neural_attention/nn/cross_entropy.hpp"
#include "neural_attention/nn/sequential.hpp"

namespace own {

namespace na = neural_attention;

struct ClassifierConfig : na::RobertaConfig {
  int num_labels = 2;

  static void knobs(auto&& use, auto&... configs) {
    RobertaConfig::knobs(use, configs...);
    use(na::Knob("num_labels", "Classes", na::at_least(1)), configs.num_labels...);
  }
  void validate() const {
    RobertaConfig::validate();
    na::require_ranges(*this);
  }
};

/// Sequences, each with its class.
class LabelledBatch : public na::EncoderBatch {
 public:
  using EncoderBatch::EncoderBatch;

  void clear() {
    EncoderBatch::clear();
    first_rows.clear();
    labels.clear();
  }
  void push(std::span<const int> ids, int label) {
    first_rows.push_back(tokens.total());
    EncoderBatch::push(ids);
    labels.push_back(label);
  }

  std::vector<int> first_rows;  ///< of each sequence
  std::vector<int> labels;
};

template <class B>
class ClassifierHead {
  using Map = na::Sequential<B, na::Linear<B>, na::Gelu<B>, na::Linear<B>>;

 public:
  struct Saved {
    typename Map::Saved map;
  };

  ClassifierHead(int width, int classes, na::WeightInitial initial)
      : map_(na::Linear<B>(width, width, initial), na::Gelu<B>(), na::Linear<B>(width, classes, initial)),
        classes_(classes) {}

  static void visit(auto& self, auto&& visitor) {
    visitor("dense", self.map_.template get<0>());
    visitor("out_proj", self.map_.template get<2>());
  }

  void check(const LabelledBatch& batch) const {
    for (const int label : batch.labels)
      if (label < 0 || label >= classes_)
        throw na::ShapeError("a sequence is of class " + std::to_string(label) + ", but the model has " +
                             std::to_string(classes_));
  }

  /// [sequences, classes]
  na::Rows<B> logits(const na::Pass<B>& pass, na::Rows<B> hidden, const LabelledBatch& batch, Saved& saved) const {
    const auto first = pass.saved.rows(batch.sequences(), hidden.cols);
    pass.backend(na::ops::Gather<B>{.x = hidden, .rows = batch.first_rows, .y = first});
    return map_.forward(pass, first, saved.map);
  }

  na::LossSum loss(const na::Pass<B>& pass, const na::Embedding<B>&, na::Rows<B> hidden, const LabelledBatch& batch,
                   double smoothing, Saved& saved) const {
    return na::cross_entropy(pass, logits(pass, hidden, batch, saved), batch.labels, smoothing);
  }
  void loss_and_gradient(const na::Pass<B>& pass, na::Embedding<B>&, na::Rows<B> hidden, const LabelledBatch& batch,
                         double smoothing, double gradient_scale, na::Rows<B> dhidden, na::Into into,
                         na::StepOutcome* outcome, Saved& saved) {
    const auto dlogits = logits(pass, hidden, batch, saved);
    na::cross_entropy(pass, dlogits, batch.labels, smoothing, gradient_scale, into, outcome);
    const na::ArenaScope scope(pass.scratch);
    pass.backend(na::ops::Fill<B>{.x = dhidden, .value = typename B::Scalar(0)});
    pass.backend(
        na::ops::ScatterAdd<B>{.x = map_.backward(pass, dlogits, saved.map), .rows = batch.first_rows, .y = dhidden});
  }

 private:
  Map map_;
  int classes_;
};

template <class B, class P>
class SequenceClassifier
    : public na::ModelBase<SequenceClassifier<B, P>, ClassifierConfig,
                           na::EncoderBody<B, P, na::BertInput<B>, na::BertNames>, ClassifierHead<B>, LabelledBatch> {
  using Base = typename SequenceClassifier::ModelBase;

 public:
  using Base::Base;

  static typename Base::Parts parts(const ClassifierConfig& config) {
    auto roberta = na::Roberta<B, P>::parts(config);
    return {roberta.body_name,
            std::move(roberta.body),
            "classifier",
            {config.hidden_size, config.num_labels, config.layer().initial}};
  }
};

}  // namespace own

template <>
struct neural_attention::io::ConfigKeys<own::ClassifierConfig> : ConfigKeys<RobertaConfig> {
  static constexpr ModelKind post_norm = {"roberta", "RobertaForSequenceClassification"};
  static constexpr ModelKind pre_norm = {"roberta-prelayernorm", "RobertaPreLayerNormForSequenceClassification"};

  static own::ClassifierConfig hugging_face_defaults(bool pre) {
    own::ClassifierConfig config;
    static_cast<RobertaConfig&>(config) = ConfigKeys<RobertaConfig>::hugging_face_defaults(pre);
    return config;
  }
};
