// Definitions of what io/load_tensors.hpp declares.
#pragma once

#include <algorithm>
#include <cstddef>
#include <map>
#include <string>
#include <string_view>

#include "neural_attention/core/compiled.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/core/quoted.hpp"
#include "neural_attention/io/load_tensors.hpp"
#include "neural_attention/io/tensor_files.hpp"

namespace neural_attention::io::detail {

NEURAL_ATTENTION_INLINE std::string told(const std::string& name) {
  constexpr std::string_view usual = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-/";
  return !name.empty() && name.size() <= 200 && name.find_first_not_of(usual) == std::string::npos ? name
                                                                                                   : in_quotes(name);
}

NEURAL_ATTENTION_INLINE void FaultTable::add(const std::string& kind, const std::string& what) {
  constexpr std::size_t most = 20, width = 13;
  if (++counts_[kind] <= most)
    text_ += "\n  " + kind + std::string(width - std::min(kind.size(), width), ' ') + what;
  else
    ++more_;
}

NEURAL_ATTENTION_INLINE std::map<std::string, std::string> alias_names(const TensorFiles& files, const LoadRules& rules,
                                                                       FaultTable& faults) {
  std::map<std::string, std::string> found;
  for (const auto& [alias, name] : rules.aliases) {
    const auto* const tensor = files.find(alias);
    if (!tensor) continue;
    const auto& other = files.find(name) ? name : found.try_emplace(name, alias).first->second;
    if (other == alias) continue;
    const auto& twin = *files.find(other);
    const auto bytes = files.data(alias), twin_bytes = files.data(other);
    if (tensor->dtype != twin.dtype || tensor->shape != twin.shape || !std::ranges::equal(bytes, twin_bytes))
      faults.add("not equal", alias + " and " + other + ", which are one tensor of the model");
  }
  return found;
}

NEURAL_ATTENTION_INLINE const std::string& TensorNames::in_files(const std::string& name) const {
  const auto alias = aliases_.find(name);
  return alias == aliases_.end() ? name : alias->second;
}

}  // namespace neural_attention::io::detail
