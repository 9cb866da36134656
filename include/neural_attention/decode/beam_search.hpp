// Beam search for one sentence, as Hugging Face 4.34 defines it: the live beams, the best finished results, and what is
// done with the candidates of a step. It knows no model; a history is a start token and what followed.
// A finished history of n tokens, the start counted and the end not, scores Σ log p / n^length_penalty.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "neural_attention/decode/generation_config.hpp"

namespace neural_attention {

/// The num_beams best finished results.
class FinishedBeams {
 public:
  explicit FinishedBeams(const GenerationConfig& how)
      : capacity_(static_cast<std::size_t>(how.num_beams)),
        length_penalty_(how.length_penalty),
        early_stopping_(how.early_stopping),
        max_length_(how.max_length) {}

  void add(std::span<const int> history, double log_probability) {
    const double score = scored(log_probability, static_cast<int>(history.size()));
    if (full() && !(score > worst())) return;
    if (full()) results_.erase(std::min_element(results_.begin(), results_.end(), by_score));
    results_.push_back({{history.begin() + 1, history.end()}, score});
  }

  /// Whether nothing that is still alive is worth waiting for: the likeliest candidate has `log_probability` and
  /// `length` tokens.
  bool settled(double log_probability, int length) const {
    if (!full()) return false;
    if (early_stopping_ == EarlyStopping::Always) return true;
    // Where length helps, the best that a beam can become is as long as can be without losing probability.
    const bool longest = early_stopping_ == EarlyStopping::Never && length_penalty_ > 0.0;
    return worst() >= scored(log_probability, longest ? max_length_ : length);
  }

  /// The `count` best, or all where there are fewer; of equals the one that was finished last.
  std::vector<Hypothesis> best(int count) const {
    std::vector<Hypothesis> sorted(results_.rbegin(), results_.rend());
    std::stable_sort(sorted.begin(), sorted.end(), [](const auto& a, const auto& b) { return by_score(b, a); });
    sorted.resize(std::min(sorted.size(), static_cast<std::size_t>(count)));
    return sorted;
  }

 private:
  static bool by_score(const Hypothesis& a, const Hypothesis& b) { return a.score < b.score; }

  bool full() const { return results_.size() >= capacity_; }
  double worst() const { return std::min_element(results_.begin(), results_.end(), by_score)->score; }
  double scored(double log_probability, int length) const {
    return log_probability / std::pow(double(length), length_penalty_);
  }

  std::size_t capacity_;
  double length_penalty_;
  EarlyStopping early_stopping_;
  int max_length_;
  std::vector<Hypothesis> results_;
};

/// A beam that could be: a live one and a token behind it, with the log-probability of the whole.
struct BeamCandidate {
  double log_probability;
  int beam;
  int token;
};

class BeamSearch {
 public:
  struct Beam {
    std::vector<int> history;
    double log_probability;
    int parent;  ///< the beam that it was before the last step
  };

  /// `how` is resolved: it has the ids of a model.
  explicit BeamSearch(const GenerationConfig& how)
      : width_(static_cast<std::size_t>(how.num_beams)), eos_(how.eos_token_id), finished_(how) {
    // All beams begin alike; all but the first begin so unlikely that they live on only where it has too few
    // successors.
    constexpr double hopeless = -1e9;
    for (std::size_t b = 0; b < width_; ++b)
      beams_.push_back({{how.decoder_start_token_id}, b == 0 ? 0.0 : hopeless, static_cast<int>(b)});
  }

  /// The live beams, the likeliest first.
  std::span<const Beam> beams() const { return beams_; }
  bool done() const { return done_; }
  /// How many candidates a step looks at; more than these need not be offered, of one beam neither.
  int wanted() const { return static_cast<int>(2 * width_); }

  /// One step: `candidates` are the likeliest successors of the live beams, in any order; they are left sorted. Of
  /// equals the one of the earlier beam, then the smaller token, comes first. Without candidates the live beams end as
  /// they are.
  void advance(std::vector<BeamCandidate>& candidates) {
    const auto count = std::min(candidates.size(), 2 * width_);
    if (count == 0) {  // the rules leave nothing
      results_of_live_beams();
      return;
    }
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end(),
                      [](const BeamCandidate& a, const BeamCandidate& b) {
                        if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
                        return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
                      });
    const int length = static_cast<int>(beams_.front().history.size()) + 1;
    next_.resize(width_);
    std::size_t alive = 0;
    for (std::size_t rank = 0; rank < count && alive < width_; ++rank) {
      const auto& [log_probability, beam, token] = candidates[rank];
      const auto& parent = beams_[static_cast<std::size_t>(beam)];
      if (token == eos_) {
        if (rank < width_) finished_.add(parent.history, log_probability);
        continue;
      }
      auto& child = next_[alive++];
      child.history = parent.history;
      child.history.push_back(token);
      child.log_probability = log_probability;
      child.parent = beam;
    }
    next_.resize(alive);
    beams_.swap(next_);
    done_ = beams_.empty() || finished_.settled(candidates.front().log_probability, length);
  }

  /// The best results, beams that are still alive included unless the search was done.
  std::vector<Hypothesis> results(int count) {
    if (!done_) results_of_live_beams();
    return finished_.best(count);
  }

 private:
  void results_of_live_beams() {
    for (const auto& beam : beams_) finished_.add(beam.history, beam.log_probability);
    beams_.clear();
    done_ = true;
  }

  std::size_t width_;
  int eos_;
  FinishedBeams finished_;
  std::vector<Beam> beams_, next_;
  bool done_ = false;
};

}  // namespace neural_attention
