// Patterns of names: what * and ? stand for, against a definition by recursion; and no pattern or name takes long.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_name_pattern
#include <boost/test/unit_test.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/core/name_pattern.hpp"

using neural_attention::matches;

namespace {

bool defined(std::string_view pattern, std::string_view name) {
  if (pattern.empty()) return name.empty();
  if (pattern.front() == '*')
    return defined(pattern.substr(1), name) || (!name.empty() && defined(pattern, name.substr(1)));
  return !name.empty() && (pattern.front() == '?' || pattern.front() == name.front()) &&
         defined(pattern.substr(1), name.substr(1));
}

/// All texts of at most `longest` of these characters.
std::vector<std::string> texts(std::string_view characters, std::size_t longest) {
  std::vector<std::string> all = {""};
  for (std::size_t i = 0; i < all.size(); ++i)
    for (const char c : characters)
      if (all[i].size() < longest) all.push_back(all[i] + c);
  return all;
}

static_assert(matches("model.*.fc?.weight", "model.encoder.fc1.weight") && !matches("*.fc?", "fc1"));

}  // namespace

BOOST_AUTO_TEST_SUITE(patterns)

BOOST_AUTO_TEST_CASE(of_up_to_five_characters_match_what_the_definition_says) {
  const auto patterns = texts("ab*?", 5), names = texts("ab*", 4);
  int different = 0;
  for (const auto& pattern : patterns)
    for (const auto& name : names) different += matches(pattern, name) != defined(pattern, name);
  BOOST_TEST(different == 0);
}

BOOST_AUTO_TEST_CASE(take_no_stack_and_few_steps) {
  const std::string name(200'000, 'x');
  BOOST_TEST(!matches("*.attn.bias", name));
  BOOST_TEST(matches("*x", name));
  std::string stars;
  for (int i = 0; i < 50; ++i) stars += "*?";
  BOOST_TEST(!matches(stars + "z", name.substr(0, 2000)));
  BOOST_TEST(matches(stars, name.substr(0, 50)));
  BOOST_TEST(!matches(stars, name.substr(0, 49)));
}

BOOST_AUTO_TEST_SUITE_END()
