// Learning-rate schedules: a factor on the base rate for optimizer step 0, 1, 2 …, after a linear warm-up.
// Linear and cosine, to zero or to a minimum, are Hugging Face's (get_scheduler). Constant is Hugging Face's
// constant_with_warmup; Hugging Face's own constant does not warm up. Inverse square root is √(w / step) with w the
// warm-up length (Vaswani et al. 2017, up to a constant), as in Hugging Face with its default time scale.
#pragma once

#include <algorithm>
#include <cmath>
#include <numbers>
#include <string>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/named.hpp"

namespace neural_attention {

struct Schedule {
  enum class Kind { Constant, Linear, Cosine, CosineWithMinimum, InverseSquareRoot };
  Kind kind = Kind::Constant;
  long warmup_steps = 0;
  long total_steps = 0;      ///< of the whole run; constant and inverse square root ignore it
  double min_lr_rate = 0.0;  ///< of CosineWithMinimum: the factor at the end, from 0 to 1

  /// Throws ConfigError if a number of steps makes no sense, or a falling rate has no end.
  void validate() const;

  /// The factor for update number `step`, counted from 0.
  double factor(long step) const {
    if (step < warmup_steps) return double(step) / double(std::max(1L, warmup_steps));
    const double done = double(step - warmup_steps) / double(std::max(1L, total_steps - warmup_steps));
    switch (kind) {
      case Kind::Constant:
        return 1.0;
      case Kind::Linear:
        return std::max(0.0, 1.0 - done);
      case Kind::Cosine:
        return std::max(0.0, 0.5 * (1.0 + std::cos(std::numbers::pi * done)));
      case Kind::CosineWithMinimum:
        return min_lr_rate + (1.0 - min_lr_rate) * 0.5 * (1.0 + std::cos(std::numbers::pi * done));
      case Kind::InverseSquareRoot: {
        const double scale = warmup_steps > 0 ? double(warmup_steps) : 10000.0;
        return 1.0 / std::sqrt((double(step) + scale - double(warmup_steps)) / scale);
      }
    }
    return 1.0;
  }
};

/// The schedules as Hugging Face's get_scheduler calls them.
inline constexpr Named<Schedule::Kind> named_schedules[] = {{"linear", Schedule::Kind::Linear},
                                                            {"cosine", Schedule::Kind::Cosine},
                                                            {"cosine_with_min_lr", Schedule::Kind::CosineWithMinimum},
                                                            {"constant", Schedule::Kind::Constant},
                                                            {"inverse_sqrt", Schedule::Kind::InverseSquareRoot},
                                                            {"constant_with_warmup", Schedule::Kind::Constant}};

constexpr const auto& names_of(Schedule::Kind) { return named_schedules; }

inline void Schedule::validate() const {
  if (warmup_steps < 0) throw ConfigError("a warm-up cannot have " + std::to_string(warmup_steps) + " steps");
  if (!(min_lr_rate >= 0.0 && min_lr_rate <= 1.0))
    throw ConfigError("min_lr_rate must be a number from 0 to 1, not " + std::to_string(min_lr_rate));
  if ((kind == Kind::Linear || kind == Kind::Cosine || kind == Kind::CosineWithMinimum) && total_steps < 1)
    throw ConfigError("a " + std::string(name_of(kind)) +
                      " schedule needs total_steps, the number of steps of the whole run, not " +
                      std::to_string(total_steps));
}

}  // namespace neural_attention
