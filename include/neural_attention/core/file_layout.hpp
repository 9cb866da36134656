// FileLayout: how files hold some maps of a model otherwise than its parameters. Hugging Face's GPT-2 has each matrix
// transposed, [in, out], and the maps of query, key and value in one, [in, 3 · out]. A model with such files has a
// static file_layout; its parameter store carries it to all that reads and writes files.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

/// A linear map of files, with a `weight` that is transposed and perhaps a `bias`.
struct StoredMap {
  std::string_view name;  ///< its last parts, such as attn.c_attn
  /// The members below that name whose outputs it has side by side, where all of them are plain linear maps of one
  /// shape; none: the map itself.
  std::array<std::string_view, 3> parts = {};

  bool joins() const { return !parts.front().empty(); }
};

struct FileLayout {
  std::string_view prefix = {};  ///< of the body's parameters, which files may leave out everywhere
  std::span<const StoredMap> maps = {};

  /// The map called `name`; null for any other name.
  const StoredMap* find(std::string_view name) const {
    for (const auto& map : maps)
      if (name == map.name ||
          (name.ends_with(map.name) && name.substr(0, name.size() - map.name.size()).ends_with('.')))
        return &map;
    return nullptr;
  }
};

/// How files hold the maps of a model: as it has them, or as its static file_layout says.
template <class Model>
constexpr FileLayout file_layout_of() {
  if constexpr (requires { Model::file_layout; })
    return Model::file_layout;
  else
    return {};
}

/// "h.0.attn.c_attn" and "weight"
struct OwnerAndLeaf {
  std::string_view owner, leaf;

  explicit OwnerAndLeaf(std::string_view name) : leaf(name) {
    if (const auto dot = name.rfind('.'); dot != std::string_view::npos) {
      owner = name.substr(0, dot);
      leaf = name.substr(dot + 1);
    }
  }
  bool of_map() const { return leaf == "weight" || leaf == "bias"; }
};

}  // namespace neural_attention
