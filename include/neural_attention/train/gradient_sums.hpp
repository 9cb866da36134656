// GradientSums: the gradients of a step, added up over the ranks of a group. The sums of a layer begin as soon as the
// backward pass has left it, while the pass goes on. Where the optimizer is sharded (ZeRO-1, Rajbhandari et al. 2020),
// a rank gets the sums of its shares alone, updates these parameters, and sends them to the others.
#pragma once

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/gradient_watch.hpp"
#include "neural_attention/core/operations/memory.hpp"
#include "neural_attention/core/operations/optimizer.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/train/group.hpp"
#include "neural_attention/train/rule_optimizer.hpp"

namespace neural_attention {

/// Buckets of the flat gradients, in the order in which all ranks add them up: layers from the last to the first, those
/// side by side together until they have `least` numbers, then the rest. A layer is the tensors with the same name up
/// to the first number: "decoder.layers.3".
class GradientBuckets {
 public:
  struct Bucket {
    int first, last;  ///< of the flat gradients, without `last`
    int missing;      ///< numbers that the backward pass has not completed
    bool of_layers;
  };

  template <class B>
  GradientBuckets(const ParameterStore<B>& store, int least) {
    const int all = store.gradients().cols;
    std::vector<Bucket> runs;
    std::string_view run_name;
    for (const auto& entry : store.entries()) {
      if (!entry.trained) continue;
      const auto name = layer_of(entry.name);
      const auto first = static_cast<int>(entry.offset);
      if (!runs.empty() && name == run_name) continue;
      if (!runs.empty()) runs.back().last = first;
      runs.push_back({first, all, 0, !name.empty()});
      run_name = name;
    }
    for (auto run = runs.rbegin(); run != runs.rend(); ++run) {
      if (!run->of_layers) continue;
      if (!buckets_.empty() && buckets_.back().first == run->last && size(buckets_.back()) < least)
        buckets_.back().first = run->first;
      else
        buckets_.push_back(*run);
    }
    for (const auto& run : runs)
      if (!run.of_layers) buckets_.push_back(run);
    restart();
  }

  const std::vector<Bucket>& all() const { return buckets_; }

  /// Before the last pass of a step.
  void restart() {
    next_ = 0;
    for (auto& bucket : buckets_) bucket.missing = size(bucket);
  }

  /// The gradients from `first` up to `last` are complete. Calls use(bucket) for buckets whose turn has come. Throws
  /// ConfigError if that was said of some before: a layer that stands in two places of a pass is complete once.
  void complete(long first, long last, auto&& use) {
    last = (last + 15) / 16 * 16;  // with the gap after them
    for (auto& bucket : buckets_) {
      if (!bucket.of_layers) continue;
      bucket.missing -=
          static_cast<int>(std::max(0L, std::min<long>(last, bucket.last) - std::max<long>(first, bucket.first)));
      if (bucket.missing < 0)
        throw ConfigError("a layer runs twice in a pass, and its gradients were called complete both times");
    }
    while (next_ < buckets_.size() && buckets_[next_].missing <= 0) use(buckets_[next_++]);
  }
  /// All gradients are complete.
  void finish(auto&& use) {
    while (next_ < buckets_.size()) use(buckets_[next_++]);
  }

 private:
  static int size(const Bucket& bucket) { return bucket.last - bucket.first; }

  static std::string_view layer_of(std::string_view name) {
    for (std::size_t begin = 0; begin < name.size();) {
      const auto end = std::min(name.find('.', begin), name.size());
      const auto part = name.substr(begin, end - begin);
      if (!part.empty() && std::all_of(part.begin(), part.end(), [](unsigned char c) { return std::isdigit(c); }))
        return name.substr(0, end);
      begin = end + 1;
    }
    return {};
  }

  std::vector<Bucket> buckets_;
  std::size_t next_ = 0;
};

template <class B, class G>
class GradientSums final : public GradientWatch {
  using Real = typename B::Real;

 public:
  /// The group must outlive this.
  GradientSums(const ParameterStore<B>& store, G& group, bool sharded)
      : group_(&group),
        count_(store.gradients().cols),
        buckets_(store, group.least_exchange()),
        sharded_(sharded && group.size() > 1) {
    if (!sharded_) return;
    for (const auto& bucket : buckets_.all()) {
      const auto share = share_of(bucket.last - bucket.first, group.rank(), group.size());
      if (share.count > 0) held_.push_back({bucket.first + share.first, share.count});
    }
  }

  bool sharded() const { return sharded_; }
  /// The numbers that this rank updates, if sharded.
  const std::vector<NumberRange>& held() const { return held_; }

  /// Before the last pass of a step; the pass is watched by this.
  void begin(B& backend, const ParameterStore<B>& store) {
    backend_ = &backend;
    gradients_ = store.gradients();
    buckets_.restart();
  }
  void complete(const void* first, const void* last) override {
    const auto place = [&](const void* at) { return long{static_cast<const Real*>(at) - gradients_.data}; };
    buckets_.complete(place(first), place(last), [this](const auto& bucket) { sum(bucket); });
  }
  /// The pass threw.
  void abandon() { group_->abandon(); }
  /// The pass is done. Waits for the sums, calls summed(), which may still change them on all ranks alike, and adds up
  /// losses and norms: `has` says whether this rank has losses.
  void finish(StepOutcome* outcome, bool has, auto&& summed) {
    buckets_.finish([this](const auto& bucket) { sum(bucket); });
    group_->finish();
    summed();
    double squared_norm = 0.0;
    for (const auto& range : held_)
      squared_norm += (*backend_)(ops::SquaredNorm<B>{.x = gradients_.columns(range.first, range.count)});
    group_->sum_outcomes(*backend_, outcome, has, squared_norm);
  }

  /// If sharded: all ranks get the numbers that each rank holds. x [1, n] is laid out as the gradients are.
  void gather(B& backend, RowsOf<Real> x) {
    if (!sharded_) return;
    try {
      for (const auto& bucket : buckets_.all())
        group_->begin(backend, Exchange::GatherShares, x.columns(bucket.first, bucket.last - bucket.first));
      group_->finish();
    } catch (...) {
      abandon();
      throw;
    }
  }

  /// If sharded: `whole` of rank 0, laid out as the gradients are, gets the numbers `held` by each rank.
  void gather_to_first(B& backend, RowsOf<Real> held, RowsOf<Real> whole) {
    std::vector<Real> mine, all;
    int before = 0;
    for (const auto& bucket : buckets_.all()) {
      const auto share = [&](int rank) { return share_of(bucket.last - bucket.first, rank, group_->size()); };
      int longest = 0;
      for (int r = 0; r < group_->size(); ++r) longest = std::max(longest, share(r).count);
      const int piece = std::min(longest, piece_);
      mine.resize(static_cast<std::size_t>(piece));
      all.resize(mine.size() * static_cast<std::size_t>(group_->size()));
      for (int first = 0; first < longest; first += piece) {
        const auto count = [&](int rank) { return std::clamp(share(rank).count - first, 0, piece); };
        const auto of = [&](int rank) {
          return std::span(all).subspan(mine.size() * static_cast<std::size_t>(rank),
                                        static_cast<std::size_t>(count(rank)));
        };
        if (const int own = count(group_->rank()); own > 0)
          backend(ops::DownloadOf<Real>{.x = held.columns(before + first, own),
                                        .values = std::span(mine).first(static_cast<std::size_t>(own))});
        group_->gather(std::as_bytes(std::span(mine)), std::as_writable_bytes(std::span(all)));
        for (int r = 0; group_->rank() == 0 && r < group_->size(); ++r)
          if (count(r) > 0)
            backend(ops::UploadOf<Real>{.values = of(r),
                                        .x = whole.columns(bucket.first + share(r).first + first, count(r))});
      }
      before += share(group_->rank()).count;
    }
  }

  /// The other way: each rank gets the numbers that it holds.
  void scatter_from_first(B& backend, RowsOf<Real> whole, RowsOf<Real> held) {
    std::vector<Real> piece;
    for (long next = 0; next < count_; next += piece_) {  // may end beyond an int
      const int first = static_cast<int>(next), count = std::min(piece_, count_ - first);
      piece.resize(static_cast<std::size_t>(count));
      if (group_->rank() == 0) backend(ops::DownloadOf<Real>{.x = whole.columns(first, count), .values = piece});
      group_->broadcast(std::as_writable_bytes(std::span(piece)));
      int before = 0;
      for (const auto& range : held_) {
        const int begin = std::max(first, range.first), end = std::min(first + count, range.first + range.count);
        if (begin < end)
          backend(ops::UploadOf<Real>{.values = std::span(piece).subspan(static_cast<std::size_t>(begin - first),
                                                                         static_cast<std::size_t>(end - begin)),
                                      .x = held.columns(before + begin - range.first, end - begin)});
        before += range.count;
      }
    }
  }

 private:
  void sum(const GradientBuckets::Bucket& bucket) {
    group_->begin(*backend_, sharded_ ? Exchange::SumShares : Exchange::Sum,
                  gradients_.columns(bucket.first, bucket.last - bucket.first));
  }

  static constexpr int piece_ = 1 << 16;  ///< numbers that are gathered or scattered at a time

  G* group_;
  int count_;  ///< trained numbers
  GradientBuckets buckets_;
  bool sharded_;
  std::vector<NumberRange> held_;
  B* backend_ = nullptr;
  RowsOf<Real> gradients_;
};

}  // namespace neural_attention
