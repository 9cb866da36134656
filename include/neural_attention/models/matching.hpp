// Arms of an experiment that are equally large: match_size finds the width at which a model has another's number of
// parameters, or its FLOPs a token, as near as an integer allows, and reports the remaining difference.
#pragma once

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <limits>
#include <string>

#include "neural_attention/attention/layer_projectors.hpp"
#include "neural_attention/core/bisection.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/with_commas.hpp"
#include "neural_attention/models/model_size.hpp"

namespace neural_attention {

/// Sets the hidden width, in columns, of all projectors; those without one ignore it.
struct ByHiddenWidth {
  static constexpr const char* name = "hidden width";
  void operator()(auto& config, int width) const {
    for_each_named_projector(
        [&](const std::string&, ProjectorConfig& projector) { projector.hidden = HiddenWidth::columns(width); },
        config);
  }
};
inline constexpr ByHiddenWidth by_hidden_width = {};

/// Sets the inner width of all feed-forward networks.
struct ByFeedForwardWidth {
  static constexpr const char* name = "feed-forward width";
  void operator()(auto& config, int width) const { config.set_feed_forward_width(width); }
};
inline constexpr ByFeedForwardWidth by_feed_forward_width = {};

/// Sets the width of all values, for a multiple of the heads.
struct ByValueWidth {
  static constexpr const char* name = "value width";
  void operator()(auto& config, int width) const { config.attention.value_width = width; }
};
inline constexpr ByValueWidth by_value_width = {};

/// The quantity in which two arms must agree.
enum class Matched { Parameters, Flops };

struct MatchOptions {
  Matched matched = Matched::Parameters;
  ExampleTokens example = {};  ///< whose FLOPs are counted
  int multiple_of = 1;         ///< only such widths, for projectors that are cut into heads or groups
};

template <class Config>
struct SizeMatch {
  Config config;  ///< of the arm, with the width
  int width = 0;
  std::string width_name;
  MatchOptions options;
  ModelSize arm, other;

  /// The matched quantity of the arm minus that of the other; negative if the arm has less.
  std::int64_t rest() const { return count(arm) - count(other); }
  /// As a share of the other's quantity.
  double relative_rest() const { return double(rest()) / double(count(other)); }

  /// Three lines: the width, the parameters of both, the FLOPs of both.
  std::string text() const {
    const auto& example = options.example;
    const auto per_token = [&](std::int64_t flops) { return (flops + example.tokens / 2) / example.tokens; };
    return width_name + " " + with_commas(width) + "\nparameters: " + compared(arm.parameters, other.parameters) +
           "\nforward FLOPs a token: " + compared(per_token(arm.flops), per_token(other.flops)) + ", in " +
           with_commas(example.tokens) + " tokens" +
           (example.predicted > 0 ? ", " + with_commas(example.predicted) + " of them predicted" : "") +
           (example.source > 0 ? ", with a source of " + with_commas(example.source) : "") + "\n";
  }

  std::int64_t count(const ModelSize& size) const {
    return options.matched == Matched::Parameters ? size.parameters : size.flops;
  }

 private:
  static std::string compared(std::int64_t ours, std::int64_t theirs) {
    const auto more = ours - theirs;
    const auto text = with_commas(ours) + " against " + with_commas(theirs);
    if (more == 0) return text + ", as many";
    return text + ", " + with_commas(more < 0 ? -more : more) + (more < 0 ? " fewer (" : " more (") +
           number_text(100.0 * double(more) / double(theirs), std::chars_format::fixed, 4) + " %)";
  }
};

/// The width at which `Arm` with the config `arm` has as many parameters or FLOPs as `Other` with the config `other`,
/// the nearest that there is; of two that are equally near, the smaller one. set_width(config, width) sets it:
/// by_hidden_width, by_feed_forward_width, by_value_width, or a function of your own, with which the arm must not
/// become smaller as the width grows. Both are model types, of one type where a Choice picks the projectors. Allocates
/// neither. Throws ConfigError if there is no such width: because the arm is too large even with the smallest, too
/// small even with the largest that a model may have, or because its width makes no difference.
template <class Arm, class Other = Arm>
SizeMatch<typename Arm::Config> match_size(const typename Arm::Config& arm, const typename Other::Config& other,
                                           const auto& set_width, const MatchOptions& options = {}) {
  constexpr auto refused = std::numeric_limits<std::int64_t>::max();
  if (options.multiple_of < 1)
    throw ConfigError("widths must be multiples of a positive number, not of " + std::to_string(options.multiple_of));
  SizeMatch<typename Arm::Config> match{arm, 0, "width", options, {}, model_size<Other>(other, options.example)};
  if constexpr (requires { set_width.name; }) match.width_name = set_width.name;
  const auto set = [&](std::int64_t steps) {
    match.width = static_cast<int>(std::min(sizes::product(steps, options.multiple_of), sizes::most));
    match.config = arm;
    set_width(match.config, match.width);
    match.arm = model_size<Arm>(match.config, options.example);
    return match.count(match.arm);
  };
  // A width may be too large for a model. Other faults show at the smallest width.
  const auto count = [&](std::int64_t steps) {
    try {
      return set(steps);
    } catch (const ConfigError&) {
      return refused;
    }
  };
  const auto things = options.matched == Matched::Parameters ? std::string(" parameters") : std::string(" FLOPs");
  const auto wanted = match.count(match.other);
  const auto smallest = set(1);
  if (smallest == wanted) return match;
  if (smallest > wanted)
    throw ConfigError("no " + match.width_name + " gives the arm only " + with_commas(wanted) + things +
                      ": with the smallest, " + std::to_string(match.width) + ", it has " + with_commas(smallest));
  if (count(2) == smallest)
    throw ConfigError("the " + match.width_name + " makes no difference to the arm, which has " +
                      with_commas(smallest) + things + " with any, so it cannot have " + with_commas(wanted));
  std::int64_t above = 2;
  while (count(above) < wanted && above < sizes::most) above *= 2;
  const auto found = count(above) < wanted ? above : nearest_integer(wanted, above / 2, above, count);
  if (set(found) < wanted && (found == above || count(found + 1) == refused))
    throw ConfigError("no " + match.width_name + " that a model may have gives the arm " + with_commas(wanted) +
                      things);
  set(found);
  return match;
}

}  // namespace neural_attention
