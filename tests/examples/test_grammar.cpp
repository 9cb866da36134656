// The demonstration corpus: reproducible, without overlap, right in both languages where it can be checked by hand.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE grammar
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cstddef>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "common/german_english_grammar.hpp"
#include "neural_attention/core/utf8.hpp"

using namespace examples;
namespace g = examples::grammar;

namespace {

const g::Noun& noun(std::string_view german) {
  return *std::find_if(std::begin(g::nouns), std::end(g::nouns), [&](const auto& n) { return n.german == german; });
}

const g::Verb& verb(std::string_view german, g::Frame frame) {
  const auto found = std::find_if(std::begin(g::verbs), std::end(g::verbs),
                                  [&](const auto& v) { return v.german == german && v.frame == frame; });
  BOOST_REQUIRE(found != std::end(g::verbs));
  return *found;
}

const g::Modal& modal(std::string_view german) {
  return *std::find_if(std::begin(g::modals), std::end(g::modals), [&](const auto& m) { return m.german == german; });
}

const g::Adjective& adjective(std::string_view german) {
  return *std::find_if(std::begin(g::adjectives), std::end(g::adjectives),
                       [&](const auto& a) { return a.german == german; });
}

bool contains(const std::string& text, std::string_view part) { return text.find(part) != std::string::npos; }

using g::Case, g::Determiner, g::Order, g::Tense, g::Aspect;

}  // namespace

BOOST_AUTO_TEST_CASE(sentences_begin_with_a_capital_and_are_utf8) {
  BOOST_TEST(g::as_sentence("Ärztinnen lachen", '.') == "Ärztinnen lachen.");
  BOOST_TEST(g::as_sentence("ärgert er sich", '?') == "Ärgert er sich?");
  BOOST_TEST(g::as_sentence("die Katze", '!') == "Die Katze!");
  std::size_t of_umlauts = 0;
  for (const auto& pair : generate(20000, 1)) {
    BOOST_TEST_REQUIRE(neural_attention::utf8_fault(pair.german) == "", pair.german);
    BOOST_TEST_REQUIRE(neural_attention::utf8_fault(pair.english) == "", pair.english);
    of_umlauts += pair.german.starts_with("\xC3") ? 1 : 0;
  }
  BOOST_TEST(of_umlauts > 0u);
}

BOOST_AUTO_TEST_CASE(the_same_seed_gives_the_same_corpus) {
  const auto first = generate(500, 7), second = generate(500, 7), other = generate(500, 8), longer = generate(600, 7);
  BOOST_REQUIRE(first.size() == 500u);
  BOOST_REQUIRE(second.size() == 500u);
  std::size_t same_as_other = 0;
  for (std::size_t i = 0; i < first.size(); ++i) {
    BOOST_TEST(first[i].german == second[i].german);
    BOOST_TEST(first[i].english == second[i].english);
    BOOST_TEST(first[i].german == longer[i].german);
    same_as_other += first[i].german == other[i].german ? 1 : 0;
  }
  BOOST_TEST(same_as_other < 10u);
}

BOOST_AUTO_TEST_CASE(sentences_differ_are_short_and_end_well) {
  const auto pairs = generate(8800, 1);
  std::set<std::string> german, english;
  for (const auto& pair : pairs) {
    german.insert(pair.german);
    english.insert(pair.english);
    for (const std::string* side : {&pair.german, &pair.english}) {
      const auto words = g::count_words(*side);
      BOOST_TEST_INFO(*side);
      BOOST_CHECK(words >= 3 && words <= 16);
      BOOST_CHECK(!contains(*side, "  ") && !contains(*side, " .") && !contains(*side, " ,") && !contains(*side, "|"));
      BOOST_CHECK(side->back() == '.' || side->back() == '?');
      BOOST_CHECK((*side)[0] < 'a' || (*side)[0] > 'z');
    }
    BOOST_CHECK(pair.german.back() == pair.english.back());
  }
  BOOST_TEST(german.size() == 8800u);
  BOOST_TEST(english.size() == 8800u);
}

BOOST_AUTO_TEST_CASE(parts_share_no_sentence_on_either_side) {
  const auto pairs = generate(8800, 3);
  const auto parts = split(pairs, 8000, 400, 400);
  BOOST_TEST(parts.train.size() == 8000u);
  BOOST_TEST(parts.valid.size() == 400u);
  BOOST_TEST(parts.test.size() == 400u);
  std::set<std::string> german, english;
  for (const auto* part : {&parts.train, &parts.valid, &parts.test}) {
    for (const auto& pair : *part) {
      BOOST_CHECK(german.insert(pair.german).second);
      BOOST_CHECK(english.insert(pair.english).second);
    }
  }
  // A pair that repeats one side is left out, wherever it stands.
  const std::vector<SentencePair> doubled{{"a", "x"}, {"b", "y"}, {"a", "z"}, {"c", "y"}, {"d", "w"}};
  const auto small = split(doubled, 1, 1, 1);
  BOOST_TEST(small.test[0].german == "a");
  BOOST_TEST(small.valid[0].german == "b");
  BOOST_TEST(small.train[0].german == "d");
  BOOST_CHECK_THROW(split(doubled, 2, 1, 1), neural_attention::ConfigError);
}

BOOST_AUTO_TEST_CASE(every_construction_and_word_occurs) {
  const auto pairs = generate(8000, 11);
  const auto share = [&](std::string_view german, std::string_view english) {
    return std::count_if(pairs.begin(), pairs.end(),
                         [&](const auto& p) { return contains(p.german, german) && contains(p.english, english); });
  };
  BOOST_TEST(share(", weil ", " because ") > 100);
  BOOST_TEST(share(", wenn ", " when ") > 40);
  BOOST_TEST(share(", dass ", " that ") > 100);
  BOOST_TEST(share("kein", "not") > 100);
  BOOST_TEST(share(" nicht ", "not") > 300);
  BOOST_TEST(share("?", "Who") > 40);
  BOOST_TEST(share("?", "Do") > 50);
  BOOST_TEST(share("noch nicht", "yet") > 20);
  BOOST_TEST(share(" gern", "like") > 20);
  BOOST_TEST(share("zwölf", "welve") > 20);
  std::string all_german, all_english;
  for (const auto& pair : pairs) all_german += pair.german + "\n", all_english += pair.english + "\n";
  std::size_t entries =
      std::size(g::numbers) + std::size(g::frequencies) + std::size(g::modals) + std::size(g::manners);
  for (const auto& n : g::nouns) {
    ++entries;
    BOOST_TEST(contains(all_german, n.german), n.german);
    BOOST_TEST(contains(all_english, n.english), n.english);
  }
  for (const auto& a : g::adjectives) {
    ++entries;
    BOOST_TEST(contains(all_english, a.english), a.english);
  }
  entries += std::size(g::verbs);
  BOOST_TEST(entries >= 250u);
}

BOOST_AUTO_TEST_CASE(a_german_noun_or_adjective_has_one_english_word) {
  std::map<std::string_view, std::string_view> words;
  for (const auto& n : g::nouns) BOOST_TEST(words.emplace(n.german, n.english).second, n.german);
  for (const auto& a : g::adjectives) BOOST_TEST(words.emplace(a.german, a.english).second, a.german);
}

BOOST_AUTO_TEST_CASE(noun_phrases_decline) {
  using enum Case;
  const auto phrase = [](std::string_view n, Determiner d, bool plural, const char* a = nullptr) {
    return g::noun_phrase(noun(n), d, plural, a ? &adjective(a) : nullptr, {"drei", "three"});
  };
  const auto man = phrase("Mann", Determiner::definite, false, "alt");
  BOOST_TEST(man.in(nominative) == "der alte Mann");
  BOOST_TEST(man.in(accusative) == "den alten Mann");
  BOOST_TEST(man.in(dative) == "dem alten Mann");
  const auto book = phrase("Buch", Determiner::indefinite, false, "neu");
  BOOST_TEST(book.in(nominative) == "ein neues Buch");
  BOOST_TEST(book.in(dative) == "einem neuen Buch");
  const auto lamp = phrase("Lampe", Determiner::mine, false, "teuer");
  BOOST_TEST(lamp.in(accusative) == "meine teure Lampe");
  BOOST_TEST(lamp.in(dative) == "meiner teuren Lampe");
  const auto boy = phrase("Junge", Determiner::these, false);
  BOOST_TEST(boy.in(nominative) == "dieser Junge");
  BOOST_TEST(boy.in(accusative) == "diesen Jungen");
  const auto children = phrase("Kind", Determiner::count, true, "klein");
  BOOST_TEST(children.in(nominative) == "drei kleine Kinder");
  BOOST_TEST(children.in(dative) == "drei kleinen Kindern");
  BOOST_TEST(children.english == "three small children");
  BOOST_TEST(phrase("Kaffee", Determiner::bare, false, "kalt").in(accusative) == "kalten Kaffee");
  BOOST_TEST(phrase("Auto", Determiner::all, true, "rot").in(dative) == "allen roten Autos");
  BOOST_TEST(phrase("Zimmer", Determiner::definite, false, "dunkel").in(dative) == "dem dunklen Zimmer");
  BOOST_TEST(phrase("Apfel", Determiner::indefinite, false).english == "an apple");
  BOOST_TEST(phrase("Universität", Determiner::indefinite, false).english == "a university");
  BOOST_TEST(phrase("Lehrerin", Determiner::indefinite, false, "ehrlich").english == "an honest teacher");
  BOOST_TEST(phrase("Idee", Determiner::indefinite, false, "nützlich").english == "a useful idea");
  BOOST_TEST(phrase("Messer", Determiner::bare, true).english == "knives");
}

BOOST_AUTO_TEST_CASE(verbs_conjugate) {
  BOOST_TEST(g::german_present("lesen", "lies", 1) == "liest");
  BOOST_TEST(g::german_present("antworten", "", 2) == "antwortet");
  BOOST_TEST(g::german_present("öffnen", "", 1) == "öffnest");
  BOOST_TEST(g::german_present("tanzen", "", 1) == "tanzt");
  BOOST_TEST(g::german_present("ein|laden", "läd", 2) == "lädt");
  BOOST_TEST(g::german_present("ein|laden", "läd", 4) == "ladet");
  BOOST_TEST(g::german_present("füttern", "", 0) == "füttere");
  BOOST_TEST(g::german_present("füttern", "", 3) == "füttern");
  BOOST_TEST(g::german_present("müssen", "", 4) == "müsst");
  BOOST_TEST(g::german_participle(verb("reparieren", g::acc)) == "repariert");
  BOOST_TEST(g::german_participle(verb("ab|holen", g::acc)) == "abgeholt");
  BOOST_TEST(g::german_participle(verb("besuchen", g::acc)) == "besucht");
  BOOST_TEST(g::german_participle(verb("warten", g::pre)) == "gewartet");
  BOOST_TEST(g::third_person_s("carry") == "carries");
  BOOST_TEST(g::third_person_s("pick|up") == "picks|up");
  BOOST_TEST(g::ing_form("swim") == "swimming");
  BOOST_TEST(g::ing_form("open") == "opening");
  BOOST_TEST(g::ing_form("visit") == "visiting");
  BOOST_TEST(g::ing_form("forget") == "forgetting");
  BOOST_TEST(g::ing_form("use") == "using");
  BOOST_TEST(g::regular_past("cry") == "cried");
  BOOST_TEST(g::regular_past("look for") == "looked for");
}

BOOST_AUTO_TEST_CASE(clauses_have_the_right_order) {
  g::Clause clause;
  clause.verb = &verb("ab|holen", g::acc);
  clause.subject = g::noun_phrase(noun("Frau"), Determiner::definite, false);
  clause.direct = g::noun_phrase(noun("Junge"), Determiner::definite, false);
  BOOST_TEST(g::german(clause, Order::statement) == "die Frau holt den Jungen ab");
  BOOST_TEST(g::german(clause, Order::verb_last, "weil") == "weil die Frau den Jungen abholt");
  BOOST_TEST(g::english(clause) == "the woman picks up the boy");
  clause.negated = true;
  BOOST_TEST(g::german(clause, Order::statement) == "die Frau holt den Jungen nicht ab");
  BOOST_TEST(g::english(clause) == "the woman does not pick up the boy");
  clause.negated = false;
  clause.direct = g::personal_pronoun(2);
  clause.time = {"heute", "today"};
  clause.time_first = true;
  BOOST_TEST(g::german(clause, Order::statement) == "heute holt die Frau ihn ab");
  BOOST_TEST(g::english(clause) == "today the woman picks him up");
  clause.time_first = false;
  clause.modal = &modal("müssen");
  BOOST_TEST(g::german(clause, Order::verb_last, "dass") == "dass die Frau ihn heute abholen muss");
  BOOST_TEST(g::english_question(clause) == "does the woman have to pick him up today");
  clause.modal = nullptr;
  clause.time = {};
  clause.tense = Tense::past;
  BOOST_TEST(g::german(clause, Order::inverted) == "hat die Frau ihn abgeholt");
  BOOST_TEST(g::english_question(clause) == "did the woman pick him up");
  clause.aspect = Aspect::not_yet;
  BOOST_TEST(g::german(clause, Order::statement) == "die Frau hat ihn noch nicht abgeholt");
  BOOST_TEST(g::english(clause) == "the woman has not picked him up yet");

  g::Clause motion;
  motion.verb = &verb("gehen", g::Frame::none);
  motion.tense = Tense::past;
  motion.subject = g::personal_pronoun(3);
  BOOST_TEST(g::german(motion, Order::statement) == "wir sind gegangen");
  BOOST_TEST(g::english(motion) == "we went");

  g::Clause none;
  none.verb = &verb("lesen", g::acc);
  none.subject = g::personal_pronoun(6);
  none.direct = g::noun_phrase(noun("Buch"), Determiner::none, false);
  BOOST_TEST(g::german(none, Order::statement) == "sie liest kein Buch");
  BOOST_TEST(g::english(none) == "she does not read a book");
}

BOOST_AUTO_TEST_CASE(pronouns_follow_gender_in_german_and_meaning_in_english) {
  const auto table = g::pronoun_for(g::noun_phrase(noun("Tisch"), Determiner::definite, false));
  BOOST_TEST(table.in(Case::accusative) == "ihn");
  BOOST_TEST(table.english == "it");
  const auto teacher = g::pronoun_for(g::noun_phrase(noun("Lehrerin"), Determiner::definite, false));
  BOOST_TEST(teacher.in(Case::nominative) == "sie");
  BOOST_TEST(teacher.english_object == "her");
  const auto lamps = g::pronoun_for(g::noun_phrase(noun("Lampe"), Determiner::definite, true));
  BOOST_TEST(lamps.english == "they");
}

BOOST_AUTO_TEST_CASE(german_agrees_throughout_the_corpus) {
  // Word pairs that no right sentence of this grammar has.
  const std::vector<std::string_view> wrong_german{
      " der Kind ", " die Mann ", " das Frau ",  " den Kind ",  " der Mädchen ", "ich hat ",
      "wir hat ",   " du haben ", " in dem ",    " in das ",    " zu dem ",      " zu der ",
      " von dem ",  " ein Frau",  " eine Mann ", "nicht nicht", " kein Frau"};
  const std::vector<std::string_view> wrong_english{
      " a apple",  " an book",  " a old ",       " a honest", " an university", " an useful",
      "He have ",  "She do ",   " they is ",     " I is ",    " we was ",       "does not does",
      " can not ", " to reads", " did not went", "childs",    "mans",           "not not"};
  for (const auto& pair : generate(8000, 5)) {
    for (const auto part : wrong_german) BOOST_CHECK_MESSAGE(!contains(pair.german, part), pair.german);
    for (const auto part : wrong_english) BOOST_CHECK_MESSAGE(!contains(pair.english, part), pair.english);
    const bool verb_last = contains(pair.german, ", weil er ") || contains(pair.german, ", dass er ");
    if (verb_last)
      BOOST_CHECK_MESSAGE(!contains(pair.german, " er ist ") && !contains(pair.german, " er hat "), pair.german);
  }
}
