// Profile: what every operation of every backend of the process costs while this lives, in calls, time, floating point
// operations and bytes, by operation, module and phase; with named work of the host. The names of modules come from
// where operands lie: an operation belongs to the module whose parameter it reads or whose gradient it adds to, else to
// the one whose random numbers it draws, else to the common path of the modules whose results it reads.
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

namespace neural_attention::report {

/// The part of a step that an operation belongs to. Activations that are computed again count as Forward, and so does
/// what happens outside training; Update is clipping, the optimizer and whatever else runs over all parameters.
enum class Phase : std::uint8_t { Forward, Backward, Update, Host };

constexpr std::string_view name_of(Phase phase) {
  constexpr std::string_view names[] = {"forward", "backward", "update", "host"};
  return names[static_cast<int>(phase)];
}

/// Sums over all calls of an operation in a module.
struct ProfileRow {
  std::string operation;  ///< of the host: what it did
  std::string module;     ///< "model.encoder.layers.0.fc1"; "parameters" where it ran over several of them
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

  /// Begins to measure. Keeps the first `most_events` calls; sums go on. Throws ConfigError where another one measures.
  explicit Profile(std::size_t most_events = usual_events) : most_events_(most_events), begin_(Clock::now()) {
    observation_.emplace(*this);
  }

  /// Ends measuring.
  void stop() {
    if (!observation_) return;
    observation_.reset();
    end_ = Clock::now();
  }

  /// From the beginning to stop(), or to now.
  double wall_seconds() const { return seconds((observation_ ? Clock::now() : end_) - begin_); }

  /// The most expensive first. With `fold_layers` those of equal layers are one.
  std::vector<ProfileRow> rows(bool fold_layers = false) const {
    std::map<std::tuple<std::string, std::string, Phase>, ProfileRow> sums;
    const std::lock_guard lock(mutex_);
    for (const auto& [key, sum] : sums_) {
      const auto& path = paths_.text(key.module);
      auto module = fold_layers ? with_folded_layers(path) : path;
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
  const std::string& module(const ProfileEvent& event) const { return paths_.text(event.module); }

  void ran(const OperationFacts& facts, Clock::time_point begin, Clock::time_point end) override {
    const std::lock_guard lock(mutex_);
    auto& thread = this_thread();
    const auto place = place_of(facts, thread.phase);
    for (const auto& operand : facts.operands)
      if (operand.role != ops::Role::Read && !known_->find(operand.memory)) origins_.set(operand.memory.first, place);
    thread.phase = place.phase == Phase::Backward ? Phase::Backward : Phase::Forward;
    const auto length = nanoseconds(end - begin);
    if (!thread.open.empty()) thread.open.back().inside += length;
    add({nanoseconds(begin - begin_), length, facts.flop, facts.bytes, names_.id(facts.name), place.module,
         thread.number, place.phase},
        length);
  }

  void enter(std::string_view work) override {
    const std::lock_guard lock(mutex_);
    this_thread().open.push_back({work, Clock::now(), 0});
  }

  void leave() noexcept override {
    try {
      const std::lock_guard lock(mutex_);
      auto& thread = this_thread();
      if (thread.open.empty()) return;
      const auto work = thread.open.back();
      thread.open.pop_back();
      const auto length = nanoseconds(Clock::now() - work.begin);
      if (!thread.open.empty()) thread.open.back().inside += length;
      add({nanoseconds(work.begin - begin_), length, 0.0, 0.0, names_.id(work.name), 0, thread.number, Phase::Host},
          length - work.inside);
    } catch (const std::exception&) {  // no memory: this work is not counted
    }
  }

  std::shared_ptr<void> know(std::span<const NamedMemory> tensors, std::span<const NamedSite> sites) override {
    const std::lock_guard lock(mutex_);
    std::vector<const std::byte*> added;
    const std::lock_guard known_lock(known_->mutex);
    for (const auto& tensor : tensors) {
      known_->tensors[tensor.memory.first] = {tensor.memory.last, paths_.id(parent(tensor.name)), tensor.holds};
      added.push_back(tensor.memory.first);
    }
    for (const auto& site : sites) sites_[site.id] = paths_.id(parent(site.name));
    return {nullptr, [known = known_, added = std::move(added)](void*) {
              const std::lock_guard guard(known->mutex);
              for (const auto* first : added) known->tensors.erase(first);
            }};
  }

 private:
  /// Texts by number, the first one empty.
  class Texts {
   public:
    std::int32_t id(std::string_view text) {
      const auto [found, added] = ids_.try_emplace(std::string(text), static_cast<std::int32_t>(all_.size()));
      if (added) all_.push_back(&found->first);
      return found->second;
    }
    const std::string& text(std::int32_t id) const { return *all_[static_cast<std::size_t>(id)]; }

   private:
    std::unordered_map<std::string, std::int32_t> ids_ = {{"", 0}};
    std::vector<const std::string*> all_ = {&ids_.begin()->first};
  };

  struct Place {
    std::int32_t module = 0;
    Phase phase = Phase::Forward;
    bool guessed = false;  ///< the phase is that of the operation before
  };

  /// Where the tensors of the models lie that have not gone.
  struct Known {
    struct Tensor {
      const std::byte* last;
      std::int32_t module;
      NamedMemory::Holds holds;
    };
    /// The one that the memory begins in.
    std::optional<Tensor> find(MemoryRange memory) {
      const std::lock_guard lock(mutex);
      auto next = tensors.upper_bound(memory.first);
      if (next == tensors.begin()) return std::nullopt;
      const auto& tensor = std::prev(next)->second;
      if (memory.first >= tensor.last) return std::nullopt;
      return tensor;
    }
    std::mutex mutex;
    std::map<const std::byte*, Tensor> tensors;
  };

  /// Which operation wrote a result last, by its address. Stacks use an address again and again, so it is always
  /// written before it is read. What was written long ago is forgotten.
  class Origins {
   public:
    void set(const std::byte* address, Place place) {
      if (recent_.size() >= most) {
        older_ = std::move(recent_);
        recent_.clear();
      }
      recent_[address] = place;
    }
    std::optional<Place> find(const std::byte* address) const {
      for (const auto* const places : {&recent_, &older_})
        if (const auto found = places->find(address); found != places->end()) return found->second;
      return std::nullopt;
    }

   private:
    static constexpr std::size_t most = 50'000;
    std::unordered_map<const std::byte*, Place> recent_, older_;
  };

  struct Open {
    std::string_view name;
    Clock::time_point begin;
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

  static std::int64_t nanoseconds(Clock::duration time) {
    return std::chrono::duration_cast<std::chrono::nanoseconds>(time).count();
  }
  static double seconds(Clock::duration time) { return std::chrono::duration<double>(time).count(); }

  /// "model.encoder.layers.0.fc1.weight" -> "model.encoder.layers.0.fc1"
  static std::string_view parent(std::string_view name) {
    const auto dot = name.rfind('.');
    return dot == std::string_view::npos ? name : name.substr(0, dot);
  }

  /// The path that both begin with.
  std::int32_t common(std::int32_t a, std::int32_t b) {
    if (a == b) return a;
    const std::string_view x = paths_.text(a), y = paths_.text(b);
    std::size_t end = 0, at = 0;
    for (;; ++at) {
      const bool x_ends = at == x.size() || x[at] == '.', y_ends = at == y.size() || y[at] == '.';
      if (x_ends && y_ends) end = at;
      if (at == x.size() || at == y.size() || x[at] != y[at]) break;
    }
    return paths_.id(x.substr(0, end));
  }

  Place place_of(const OperationFacts& facts, Phase before) {
    std::optional<std::int32_t> of_tensor, of_inputs;
    bool update = false, backward_input = false, any_input = false;
    for (const auto& operand : facts.operands) {
      if (const auto tensor = known_->find(operand.memory)) {
        const bool several = operand.memory.last > tensor->last;
        if (!of_tensor) of_tensor = several ? paths_.id("parameters") : tensor->module;
        update = update || several || (tensor->holds == NamedMemory::Holds::Values && operand.role != ops::Role::Read);
        continue;
      }
      if (operand.role == ops::Role::Write) continue;
      const auto input = origins_.find(operand.memory.first);
      if (!input) continue;
      any_input = true;
      backward_input = backward_input || (input->phase == Phase::Backward && !input->guessed);
      of_inputs = of_inputs ? common(*of_inputs, input->module) : input->module;
    }
    Place place;
    if (of_tensor)
      place.module = *of_tensor;
    else if (const auto site = sites_.find(facts.site); site != sites_.end())
      place.module = site->second;
    else
      place.module = of_inputs.value_or(0);
    const auto named = [&](std::string_view part) { return facts.name.find(part) != std::string_view::npos; };
    if (update)
      place.phase = Phase::Update;
    else if (named("backward") || named("gradient") || backward_input)
      place.phase = Phase::Backward;
    else if (any_input || of_tensor)
      place.phase = Phase::Forward;
    else  // it reads nothing, as filling with zeros does
      place = {place.module, before, true};
    return place;
  }

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
  const Clock::time_point begin_;
  Clock::time_point end_;
  mutable std::mutex mutex_;
  Texts names_, paths_;
  std::shared_ptr<Known> known_ = std::make_shared<Known>();  // a model may live longer than this
  std::unordered_map<std::uint32_t, std::int32_t> sites_;
  Origins origins_;
  std::unordered_map<std::thread::id, Thread> threads_;
  std::map<Key, Sum> sums_;
  std::vector<ProfileEvent> events_;
  long left_out_ = 0;
  std::optional<Observation> observation_;
};

}  // namespace neural_attention::report
