// The four roles of an attention: query, key, value and output. Roles<T> holds one T for each role, and for_each_role
// walks the four.
#pragma once

#include <tuple>
#include <utility>

#include "neural_attention/core/language.hpp"

namespace neural_attention {

template <class T>
struct Roles {
  T query = {}, key = {}, value = {}, output = {};

  bool operator==(const Roles&) const = default;
};

/// Calls use(name, member...) for each role in turn, with the member for that role of each of `holders`: a Roles, or
/// any other type with the four members.
void for_each_role(auto&& use, auto&&... holders) {
  use("query", holders.query...);
  use("key", holders.key...);
  use("value", holders.value...);
  use("output", holders.output...);
}

}  // namespace neural_attention
