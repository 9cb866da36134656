// Beam search for one sentence, as Hugging Face 5.24 defines it: the live beams, the best finished results, and what is
// done with the candidates of a round. It knows no model. A history is a prompt, often a start token alone, and what
// followed. The score of a result is Σ log p / n^length_penalty, where n counts its tokens with the end and without the
// prompt.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <vector>

#include "neural_attention/core/sizes.hpp"
#include "neural_attention/decode/generation_config.hpp"

namespace neural_attention {

/// What the sum of log-probabilities of a result of `length` tokens is divided by.
inline double length_norm(int length, double length_penalty) {
  return std::pow(double(std::max(length, 1)), length_penalty);
}

/// The num_beams best finished results.
class FinishedBeams {
 public:
  /// Results have `prompt` tokens in front, which do not count.
  FinishedBeams(const GenerationConfig& how, int prompt)
      : capacity_(static_cast<std::size_t>(how.num_beams)),
        length_penalty_(how.length_penalty),
        early_stopping_(how.early_stopping),
        longest_(how.limit(prompt) - prompt) {}

  /// `ids` is without prompt and end, `end` the token that ended it, or -1.
  void add(std::span<const int> ids, int end, double log_probability) {
    const double score = scored(log_probability, static_cast<int>(ids.size()) + (end >= 0 ? 1 : 0));
    const auto better = [](double a, const Hypothesis& b) { return a > b.score; };
    const auto place = std::upper_bound(results_.begin(), results_.end(), score, better);
    if (full() && place == results_.end()) return;
    results_.insert(place, {{ids.begin(), ids.end()}, score, end});
    if (results_.size() > capacity_) results_.pop_back();
  }

  /// Whether waiting for the live beams is pointless: the most likely one has `log_probability` and `length` tokens.
  bool settled(double log_probability, int length) const {
    if (!full()) return false;
    if (early_stopping_ == EarlyStopping::Always) return true;
    // If length helps, a beam does best by growing as long as possible without losing probability.
    const bool longest = early_stopping_ == EarlyStopping::Never && length_penalty_ > 0.0;
    return results_.back().score >= scored(log_probability, longest ? longest_ : length);
  }

  /// The `count` best, or all if there are fewer; among equal results, the one that finished first.
  std::vector<Hypothesis> best(int count) const {
    const auto found = std::min(results_.size(), static_cast<std::size_t>(count));
    return {results_.begin(), results_.begin() + static_cast<std::ptrdiff_t>(found)};
  }

 private:
  bool full() const { return results_.size() >= capacity_; }
  double scored(double log_probability, int length) const {
    return log_probability / length_norm(length, length_penalty_);
  }

  std::size_t capacity_;
  double length_penalty_;
  EarlyStopping early_stopping_;
  int longest_;
  std::vector<Hypothesis> results_;  // the best first
};

/// A possible beam: a live one and the token after it, with the log-probability of the whole.
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
    int parent;  ///< the beam that it was before the last round
  };

  /// `how` is resolved: it has the ids of a model. It must outlive the search.
  explicit BeamSearch(const GenerationConfig& how) : BeamSearch(how, std::span(&how.decoder_start_token_id, 1)) {}
  /// All results begin with `prompt`, which leaves room for a token.
  BeamSearch(const GenerationConfig& how, std::span<const int> prompt)
      : how_(&how),
        width_(static_cast<std::size_t>(how.num_beams)),
        prompt_(prompt.size()),
        limit_(how.limit(std::ssize(prompt))),
        finished_(how, static_cast<int>(prompt.size())) {
    // All beams begin alike. All except the first begin so unlikely that they survive only if the first has too few
    // successors.
    constexpr double hopeless = -1e9;
    for (std::size_t b = 0; b < width_; ++b)
      beams_.push_back({{prompt.begin(), prompt.end()}, b == 0 ? 0.0 : hopeless, static_cast<int>(b)});
  }

  explicit BeamSearch(const GenerationConfig&&) = delete;
  BeamSearch(const GenerationConfig&&, std::span<const int>) = delete;

  /// The live beams, the most likely first.
  std::span<const Beam> beams() const { return beams_; }
  bool done() const { return done_; }
  /// Tokens of each live beam's history.
  int length() const { return static_cast<int>(beams_.front().history.size()); }
  /// How many candidates a round looks at, so that `width` of them continue even if the most likely ones all end.
  /// Callers need not offer more, also not of one beam.
  static int wanted(const GenerationConfig& how) {
    return static_cast<int>(
        std::min(sizes::product(std::ssize(how.further_eos_token_ids) + 2, how.num_beams), sizes::most));
  }

  /// One round: `candidates` are the most likely successors of the live beams, in any order; sorts them. Among equal
  /// candidates, the earlier beam comes first, then the smaller token. Without candidates, the live beams end as they
  /// are, and at the length limit all end. goes_on(ids) says whether a successor, without its prompt, continues; one
  /// that does not is finished, as if an end had followed it.
  template <class GoesOn>
  void advance(std::vector<BeamCandidate>& candidates, GoesOn&& goes_on) {
    const auto count = std::min(candidates.size(), static_cast<std::size_t>(wanted(*how_)));
    if (count == 0) {  // the rules exclude all tokens
      for (const auto& beam : beams_) finished_.add(ids_of(beam.history), -1, beam.log_probability);
      end();
      return;
    }
    std::partial_sort(candidates.begin(), candidates.begin() + static_cast<std::ptrdiff_t>(count), candidates.end(),
                      [](const BeamCandidate& a, const BeamCandidate& b) {
                        if (a.log_probability != b.log_probability) return a.log_probability > b.log_probability;
                        return a.beam != b.beam ? a.beam < b.beam : a.token < b.token;
                      });
    const bool last = length() + 1 == limit_;
    const int of_successors = length() + 1 - static_cast<int>(prompt_);
    next_.resize(width_);
    std::size_t alive = 0;
    for (std::size_t rank = 0; rank < count && alive < width_; ++rank) {
      const auto& [log_probability, beam, token] = candidates[rank];
      const auto& parent = beams_[static_cast<std::size_t>(beam)];
      if (how_->ends(token)) {
        if (rank < width_) finished_.add(ids_of(parent.history), token, log_probability);
        continue;
      }
      auto& child = next_[alive];
      child.history = parent.history;
      child.history.push_back(token);
      child.log_probability = log_probability;
      child.parent = beam;
      const bool stops = !goes_on(ids_of(child.history));
      if ((last || stops) && rank < width_) finished_.add(ids_of(child.history), -1, log_probability);
      if (!stops) ++alive;
    }
    next_.resize(alive);
    beams_.swap(next_);
    if (last || beams_.empty() || finished_.settled(beams_.front().log_probability, of_successors)) end();
  }

  void advance(std::vector<BeamCandidate>& candidates) {
    advance(candidates, [](std::span<const int>) { return true; });
  }

  /// The best results, when it is done.
  std::vector<Hypothesis> results(int count) const { return finished_.best(count); }

 private:
  std::span<const int> ids_of(std::span<const int> history) const { return history.subspan(prompt_); }
  void end() {
    beams_.clear();
    done_ = true;
  }

  const GenerationConfig* how_;
  std::size_t width_;
  std::size_t prompt_;  ///< its tokens
  int limit_;           ///< tokens of a history
  FinishedBeams finished_;
  std::vector<Beam> beams_, next_;
  bool done_ = false;
};

}  // namespace neural_attention
