// AttentionOptions: the settings of a model's attentions besides their projectors. All are off by default; then they
// cost nothing and files do not mention them.
#pragma once

#include <cmath>

#include "neural_attention/core/knob.hpp"
#include "neural_attention/core/named.hpp"

namespace neural_attention {

/// Factors on the scores that are learned: one for all heads, or one for each.
enum class LearnedScale { None, Shared, PerHead };
inline constexpr Named<LearnedScale> named_learned_scales[] = {
    {"none", LearnedScale::None}, {"shared", LearnedScale::Shared}, {"per_head", LearnedScale::PerHead}};
constexpr const auto& names_of(LearnedScale) { return named_learned_scales; }

/// A norm of queries and keys along each head's columns, before they meet: attention/head_norm.hpp.
enum class QueryKeyNorm { None, L2, Rms };
inline constexpr Named<QueryKeyNorm> named_query_key_norms[] = {
    {"none", QueryKeyNorm::None}, {"l2", QueryKeyNorm::L2}, {"rms", QueryKeyNorm::Rms}};
constexpr const auto& names_of(QueryKeyNorm) { return named_query_key_norms; }

/// A gate on the heads' result: attention/output_gate.hpp.
enum class GateKind { None, PerHead, PerElement };
inline constexpr Named<GateKind> named_gates[] = {
    {"none", GateKind::None}, {"per_head", GateKind::PerHead}, {"per_element", GateKind::PerElement}};
constexpr const auto& names_of(GateKind) { return named_gates; }

/// Values of the first layer in the values of later ones: attention/value_residual.hpp.
enum class ValueResidualKind { None, Fixed, Learned };
inline constexpr Named<ValueResidualKind> named_value_residuals[] = {
    {"none", ValueResidualKind::None}, {"fixed", ValueResidualKind::Fixed}, {"learned", ValueResidualKind::Learned}};
constexpr const auto& names_of(ValueResidualKind) { return named_value_residuals; }

struct AttentionOptions {
  double scale = 0.0;  ///< factor on the scores; 0: the usual one
  LearnedScale learned_scale = LearnedScale::None;
  double soft_cap = 0.0;  ///< c, where scores s become c · tanh(s / c); 0: none
  QueryKeyNorm qk_norm = QueryKeyNorm::None;
  GateKind gate = GateKind::None;
  ValueResidualKind value_residual = ValueResidualKind::None;
  double value_residual_own = 0.5;    ///< factor on a layer's own values, or where a learned one begins
  double value_residual_first = 0.5;  ///< the same on the first layer's values
  int value_width = 0;                ///< of the values of all heads, which divide it; 0: the model's

  bool operator==(const AttentionOptions&) const = default;

  static void knobs(auto&& use, auto&... options) {
    constexpr const char* group = "Attention";
    const auto knob = [](const char* name, const char* help, Interval range = {}) {
      return Knob(name, help, range).not_of_hugging_face().left_out_if_usual().flag(group);
    };
    use(knob("attention_scale",
             "Factor on the scores of attention; 0: 1 over the root of a head's width, or 10 with qk_norm l2",
             at_least(0)),
        options.scale...);
    use(knob("attention_learned_scale",
             "Learn that factor, starting at attention_scale, for all heads together or for each; with qk_norm l2, "
             "none means shared"),
        options.learned_scale...);
    use(knob("attention_soft_cap", "Scores s become c tanh(s / c), as in Gemma 2; 0: no cap", at_least(0)),
        options.soft_cap...);
    use(knob("qk_norm", "Norm of queries and keys along each head; l2 has a learned scale, rms a learned gain"),
        options.qk_norm...);
    use(knob("attention_gate", "Multiply the heads' result by sigmoid(x W)"), options.gate...);
    use(knob("value_residual",
             "Mix the first layer's values into later layers' values in self-attention, by fixed or learned factors"),
        options.value_residual...);
    use(knob("value_residual_own", "Factor of value_residual on a layer's own values; a learned factor starts at it"),
        options.value_residual_own...);
    use(knob("value_residual_first",
             "Factor of value_residual on the first layer's values; a learned factor starts at it"),
        options.value_residual_first...);
    use(knob(
            "attention_value_width",
            "Columns of the values of all heads together, a multiple of the number of heads; 0: the width of the model",
            at_least(0)),
        options.value_width...);
  }

  bool learns_scale() const { return learned_scale != LearnedScale::None || qk_norm == QueryKeyNorm::L2; }
  /// How many factors are learned.
  int learned_scales(int heads) const {
    if (learned_scale == LearnedScale::PerHead) return heads;
    return learns_scale() ? 1 : 0;
  }
  /// The factor on the scores, or the first value of one that is learned. On cosines, 10 is the first value of Swin V2
  /// (arXiv 2111.09883), and the first value of arXiv 2010.04245, log₂(L² - L), for sequences of L = 33 tokens.
  double first_scale(int head_width) const {
    if (scale > 0.0) return scale;
    return qk_norm == QueryKeyNorm::L2 ? 10.0 : 1.0 / std::sqrt(double(head_width));
  }
  /// The factor on the products of what the norms and the learned factors leave.
  double fixed_scale(int head_width) const {
    if (qk_norm == QueryKeyNorm::L2) return 1.0 / head_width;
    return learns_scale() ? 1.0 : first_scale(head_width);
  }
};

}  // namespace neural_attention
