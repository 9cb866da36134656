// The module and the phase that an operation belongs to. They follow from where its operands lie: an operation belongs
// to the module whose parameter it reads or whose gradient it adds to; otherwise to the module whose random numbers it
// draws; otherwise to the common path of the modules whose results it reads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
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

/// Texts by number, the first one empty.
class NumberedTexts {
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

/// An operation's module, as the number of its path, and its phase.
struct OperationPlace {
  std::int32_t module = 0;
  Phase phase = Phase::Forward;
  bool guessed = false;  ///< the phase was taken from the operation before
};

/// Not safe for several threads at once; what know() gives may go in any thread.
class OperationPlaces {
 public:
  /// As OperationObserver::know.
  std::shared_ptr<void> know(std::span<const NamedMemory> tensors, std::span<const NamedSite> sites) {
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

  const std::string& path(std::int32_t module) const { return paths_.text(module); }

  /// `before` is the phase of the operation before it in its thread.
  OperationPlace of(const OperationFacts& facts, Phase before) {
    std::optional<std::int32_t> of_tensor, of_inputs;
    bool update = false, backward_input = false, any_input = false;
    for (const auto& operand : facts.operands) {
      if (const auto tensor = known_->find(operand.memory)) {
        const bool several = operand.memory.last > tensor->last;
        if (!of_tensor) of_tensor = several ? paths_.id("parameters") : tensor->module;
        update =
            update || several || (tensor->holds == NamedMemory::Holds::Values && operand.access != ops::Access::Read);
        continue;
      }
      if (operand.access == ops::Access::Write) continue;
      const auto input = origins_.find(operand.memory.first);
      if (!input) continue;
      any_input = true;
      backward_input = backward_input || (input->phase == Phase::Backward && !input->guessed);
      of_inputs = of_inputs ? common(*of_inputs, input->module) : input->module;
    }
    OperationPlace place;
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

  /// The results of an operation come from `place`.
  void wrote(const OperationFacts& facts, OperationPlace place) {
    for (const auto& operand : facts.operands)
      if (operand.access != ops::Access::Read && !known_->find(operand.memory))
        origins_.set(operand.memory.first, place);
  }

 private:
  /// Where the tensors of the living models lie.
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
    void set(const std::byte* address, OperationPlace place) {
      if (recent_.size() >= most) {
        older_ = std::move(recent_);
        recent_.clear();
      }
      recent_[address] = place;
    }
    std::optional<OperationPlace> find(const std::byte* address) const {
      for (const auto* const places : {&recent_, &older_})
        if (const auto found = places->find(address); found != places->end()) return found->second;
      return std::nullopt;
    }

   private:
    static constexpr std::size_t most = 50'000;
    std::unordered_map<const std::byte*, OperationPlace> recent_, older_;
  };

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

  NumberedTexts paths_;
  std::shared_ptr<Known> known_ = std::make_shared<Known>();  // a model may live longer than this
  std::unordered_map<std::uint32_t, std::int32_t> sites_;
  Origins origins_;
};

}  // namespace neural_attention::report
