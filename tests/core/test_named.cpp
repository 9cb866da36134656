// Lists of names: the first name of a value is written, every name is read, and messages list them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE core_named
#include <boost/test/unit_test.hpp>
#include <string>
#include <utility>

#include "neural_attention/core/named.hpp"

namespace {

namespace na = neural_attention;

enum class Fruit { Apple, Pear, Quince };

constexpr na::Named<Fruit> named_fruits[] = {{"apple", Fruit::Apple}, {"pear", Fruit::Pear}, {"Apfel", Fruit::Apple}};
constexpr const auto& names_of(Fruit) { return named_fruits; }

}  // namespace

BOOST_AUTO_TEST_SUITE(names)

BOOST_AUTO_TEST_CASE(are_written_by_the_first_and_read_by_all) {
  BOOST_TEST(na::name_of(Fruit::Apple) == "apple");
  BOOST_TEST(na::name_of(Fruit::Pear) == "pear");
  BOOST_TEST(na::name_of(Fruit::Quince) == "");
  for (const char* const name : {"apple", "Apfel"})
    BOOST_TEST((na::value_named<Fruit>(name, "--fruit") == Fruit::Apple), name);
  BOOST_TEST((na::value_named<Fruit>("pear", "--fruit") == Fruit::Pear));
}

BOOST_AUTO_TEST_CASE(are_listed_in_messages_without_further_names) {
  BOOST_TEST(na::names_in_words(named_fruits) == "apple or pear");
  using Case = std::pair<std::string, std::string>;
  for (const auto& [name, quoted] :
       {Case("plum", "\"plum\""), Case("", "\"\""), Case("Apple", "\"Apple\" (did you mean \"apple\"?)")}) {
    std::string said;
    try {
      na::value_named<Fruit>(name, "--fruit");
    } catch (const na::ConfigError& error) {
      said = error.what();
    }
    BOOST_TEST(said == "--fruit must be apple or pear, not " + quoted);
  }
}

BOOST_AUTO_TEST_SUITE_END()
