// Profile: what every operation of every backend of the process costs while this lives, in calls, time, floating point
// operations and bytes, by operation, module and phase; with named work of the host.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <tuple>
#include <unordered_map>
#include <utility>
#include <vector>

#include "neural_attention/core/observer.hpp"
#include "neural_attention/report/operation_places.hpp"

namespace neural_attention::report {

/// Sums over all calls of an operation in a module.
struct ProfileRow {
  std::string operation;  ///< of the host: what it did
  std::string module;     ///< "model.encoder.layers.0.fc1"; "parameters" if it ran over several of them
  Phase phase = Phase::Forward;
  long calls = 0;
  double seconds = 0.0;  ///< of the host: without the operations and the other work inside
  double flop = 0.0;
  double bytes = 0.0;
};

/// One call. Times are nanoseconds since the profile began.
struct ProfileEvent {
  std::int64_t begin, length;
  double flop, bytes;
  std::int32_t operation, module, thread;
  Phase phase;
};

/// "model.encoder.layers.3.fc1" -> "model.encoder.layers.*.fc1": the first number of a path stands for equal layers.
inline std::string with_folded_layers(std::string_view path) {
  std::string folded;
  bool done = false;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('.', at), path.size());
    const auto part = path.substr(at, end - at);
    const bool number = !part.empty() && part.find_first_not_of("0123456789") == std::string_view::npos;
    folded += (at > 0 ? "." : "") + (number && !done ? std::string("*") : std::string(part));
    done = done || number;
    at = end + 1;
  }
  return folded;
}

/// Safe to be told of operations by several threads at once. The results are for when none runs.
class Profile final : public OperationObserver {
 public:
  static constexpr std::size_t usual_events = 200'000;

  /// Begins to measure. Keeps the first `most_events` calls; sums go on. Throws ConfigError if another one measures.
  explicit Profile(std::size_t most_events = usual_events) : most_events_(most_events), begin_(now()) {
    observation_.emplace(*this);
  }

  /// Ends measuring.
  void stop() {
    if (!observation_) return;
    observation_.reset();
    end_ = now();
  }

  /// From the beginning to stop(), or to now.
  double wall_seconds() const { return 1e-9 * static_cast<double>((observation_ ? now() : end_) - begin_); }

  /// Whether equal layers have rows of their own, or one together.
  enum class Layers { Apart, Folded };

  /// The most expensive first.
  std::vector<ProfileRow> rows(Layers layers = Layers::Apart) const {
    std::map<std::tuple<std::string, std::string, Phase>, ProfileRow> sums;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, sum] : sums_) {
      const auto& path = places_.path(key.module);
      auto module = layers == Layers::Folded ? with_folded_layers(path) : path;
      auto& row = sums[{std::string(names_.text(key.operation)), module, key.phase}];
      row.operation = names_.text(key.operation);
      row.module = std::move(module);
      row.phase = key.phase;
      row.calls += sum.calls;
      row.seconds += 1e-9 * static_cast<double>(sum.nanoseconds);
      row.flop += sum.flop;
      row.bytes += sum.bytes;
    }
    std::vector<ProfileRow> result;
    result.reserve(sums.size());
    for (auto& [key, row] : sums) result.push_back(std::move(row));
    std::stable_sort(result.begin(), result.end(), [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return result;
  }

  /// The calls that were kept, in the order of their ends, and how many were not.
  const std::vector<ProfileEvent>& events() const { return events_; }
  long events_left_out() const { return left_out_; }
  /// Of an event.
  const std::string& operation(const ProfileEvent& event) const { return names_.text(event.operation); }
  const std::string& module(const ProfileEvent& event) const { return places_.path(event.module); }

  std::int64_t now() const override {
    const auto time = std::chrono::steady_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }

  void ran(const OperationFacts& facts, std::int64_t begin, std::int64_t end) override {
    const std::lock_guard lock(mutex_);
    auto& thread = this_thread();
    const auto place = places_.of(facts, thread.phase);
    places_.wrote(facts, place);
    thread.phase = place.phase == Phase::Backward ? Phase::Backward : Phase::Forward;
    const auto length = end - begin;
    if (!thread.open.empty()) thread.open.back().inside += length;
    add({begin - begin_, length, facts.flop, facts.bytes, names_.id(facts.name), place.module, thread.number,
         place.phase},
        length);
  }

  void enter(std::string_view work) override {
    const std::lock_guard lock(mutex_);
    this_thread().open.push_back({work, now(), 0});
  }

  void leave() noexcept override {
    try {
      const std::lock_guard lock(mutex_);
      auto& thread = this_thread();
      if (thread.open.empty()) return;
      const auto work = thread.open.back();
      thread.open.pop_back();
      const auto length = now() - work.begin;
      if (!thread.open.empty()) thread.open.back().inside += length;
      add({work.begin - begin_, length, 0.0, 0.0, names_.id(work.name), 0, thread.number, Phase::Host},
          length - work.inside);
    } catch (const std::exception&) {  // no memory: this work is not counted
    }
  }

  std::shared_ptr<void> know(std::span<const NamedMemory> tensors, std::span<const NamedSite> sites) override {
    const std::lock_guard lock(mutex_);
    return places_.know(tensors, sites);
  }

 private:
  struct Open {
    std::string_view name;
    std::int64_t begin;
    std::int64_t inside;  ///< nanoseconds of operations and other work
  };
  struct Thread {
    std::int32_t number;
    Phase phase;  ///< of the last operation
    std::vector<Open> open;
  };

  struct Key {
    std::int32_t operation, module;
    Phase phase;
    bool operator<(const Key& other) const {
      return std::tie(operation, module, phase) < std::tie(other.operation, other.module, other.phase);
    }
  };
  struct Sum {
    long calls = 0;
    std::int64_t nanoseconds = 0;
    double flop = 0.0, bytes = 0.0;
  };

  Thread& this_thread() {
    const auto [found, added] = threads_.try_emplace(std::this_thread::get_id());
    if (added) found->second = {static_cast<std::int32_t>(threads_.size()), Phase::Forward, {}};
    return found->second;
  }

  void add(const ProfileEvent& event, std::int64_t nanoseconds) {
    auto& sum = sums_[{event.operation, event.module, event.phase}];
    ++sum.calls;
    sum.nanoseconds += nanoseconds;
    sum.flop += event.flop;
    sum.bytes += event.bytes;
    if (events_.size() < most_events_)
      events_.push_back(event);
    else
      ++left_out_;
  }

  const std::size_t most_events_;
  const std::int64_t begin_;
  std::int64_t end_ = 0;
  mutable std::mutex mutex_;
  NumberedTexts names_;
  OperationPlaces places_;
  std::unordered_map<std::thread::id, Thread> threads_;
  std::map<Key, Sum> sums_;
  std::vector<ProfileEvent> events_;
  long left_out_ = 0;
  std::optional<Observation> observation_;
};

}  // namespace neural_attention::report
