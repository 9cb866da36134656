// The tensors of files that hold a store's: each by itself or, where the store's FileLayout says so, transposed and
// several as one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/core/parameters.hpp"

namespace neural_attention::io::detail {

/// The shape of a tensor that is a store's entry.
template <class Entry>
std::vector<std::int64_t> shape_of(const Entry& entry) {
  if (entry.vector) return {entry.cols};
  return {entry.rows, entry.cols};
}

/// A tensor of a file. Parts [out, in] are its columns if it is transposed; vectors stand one after another.
template <class B>
struct StoredTensor {
  using Entry = typename ParameterStore<B>::Entry;

  std::string name;
  std::vector<const Entry*> parts;
  bool transposed = false;

  std::vector<std::int64_t> shape() const {
    const auto of_part = shape_of(*parts.front());
    const auto count = static_cast<std::int64_t>(parts.size());
    if (transposed) return {of_part[1], count * of_part[0]};
    return count == 1 ? of_part : std::vector<std::int64_t>{count * of_part[0]};
  }
};

/// Finds for the entries of a store which tensor of a file holds them.
template <class B>
class StoredTensors {
 public:
  using Entry = typename ParameterStore<B>::Entry;

  /// With `int8`, files have each tensor by itself, because integers stay where they lie.
  explicit StoredTensors(const ParameterStore<B>& store, bool int8)
      : layout_(int8 ? FileLayout() : store.file_layout()) {
    if (layout_.maps.empty()) return;
    for (const auto& entry : store.entries()) entries_[entry.name] = &entry;
  }

  /// use(tensor) for a tensor by itself, or for one of several parts when the first of these is asked for.
  void with_tensor_of(const Entry& entry, auto&& use) const {
    const OwnerAndLeaf name(entry.name);
    if (entries_.empty() || !name.of_map()) return use(StoredTensor<B>{entry.name, {&entry}});
    const bool matrix = name.leaf == "weight";
    if (const auto* const map = layout_.find(name.owner); map && !map->joins())
      return use(StoredTensor<B>{entry.name, {&entry}, matrix});
    const std::string joined(OwnerAndLeaf(name.owner).owner);
    const auto* const map = layout_.find(joined);
    if (!map || !map->joins() || !is_joined(joined, *map)) return use(StoredTensor<B>{entry.name, {&entry}});
    if (name.owner.substr(joined.size() + 1) != map->parts.front()) return;
    StoredTensor<B> tensor{joined + "." + std::string(name.leaf), {}, matrix};
    for (const auto part : map->parts) tensor.parts.push_back(find(joined, part, name.leaf));
    use(tensor);
  }

 private:
  const Entry* find(const std::string& joined, std::string_view part, std::string_view leaf) const {
    const auto found = entries_.find(joined + "." + std::string(part) + "." + std::string(leaf));
    return found == entries_.end() ? nullptr : found->second;
  }

  /// Whether below that name there are these parts and nothing else, each a linear map of one shape.
  bool is_joined(const std::string& joined, const StoredMap& map) const {
    std::size_t expected = 0;
    for (const std::string_view leaf : {"weight", "bias"}) {
      const auto* const first = find(joined, map.parts.front(), leaf);
      if (!first && leaf == "weight") return false;
      for (const auto part : map.parts) {
        const auto* const entry = find(joined, part, leaf);
        if (!entry != !first || (first && shape_of(*entry) != shape_of(*first))) return false;
        expected += entry ? 1 : 0;
      }
    }
    std::size_t there = 0;
    const auto below = joined + ".";
    for (auto at = entries_.lower_bound(below); at != entries_.end() && at->first.starts_with(below); ++at) ++there;
    return there == expected;
  }

  FileLayout layout_;
  std::map<std::string_view, const Entry*> entries_;  ///< none where every tensor stands by itself
};

}  // namespace neural_attention::io::detail
