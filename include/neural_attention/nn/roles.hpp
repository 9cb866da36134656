// The four roles of an attention: query, key, value and output. What exists once for each is a Roles<T>, and
// for_each_role walks the four.
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

/// use(name, member...) for each role in turn, with the member of that role of each of `holders`: a Roles, or anything
/// else that has the four members.
void for_each_role(auto&& use, auto&&... holders) {
  use("query", holders.query...);
  use("key", holders.key...);
  use("value", holders.value...);
  use("output", holders.output...);
}

}  // namespace neural_attention
