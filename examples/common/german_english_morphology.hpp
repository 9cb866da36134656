// Inflection by rule: German articles, adjective endings, noun forms and verb forms; English plurals, verb forms, a/an.
// Endings are tables [case][masculine, feminine, neuter, plural]; irregular forms come from the lexicon.
#pragma once

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "german_english_lexicon.hpp"

namespace examples::grammar {

/// The six verb persons: 0 ich, 1 du, 2 er/sie/es, 3 wir, 4 ihr, 5 sie (plural).
using Person = int;
constexpr Person third_singular = 2, third_plural = 5;

inline bool ends_with_any(Text word, std::initializer_list<Text> endings) {
  for (const Text ending : endings) {
    if (word.ends_with(ending)) return true;
  }
  return false;
}

inline bool starts_with_any(Text word, std::initializer_list<Text> beginnings) {
  for (const Text beginning : beginnings) {
    if (word.starts_with(beginning)) return true;
  }
  return false;
}

/// Joins the parts that are not empty with single spaces.
inline std::string join(std::initializer_list<Text> parts) {
  std::string line;
  for (const Text part : parts) {
    if (part.empty()) continue;
    if (!line.empty()) line += ' ';
    line += part;
  }
  return line;
}

// ---- German nouns, articles, adjectives -------------------------------------------------------------------------

using Endings = std::array<std::array<Text, 4>, 3>;
inline constexpr Endings strong_endings = {{{"er", "e", "es", "e"}, {"en", "e", "es", "e"}, {"em", "er", "em", "en"}}};
inline constexpr Endings weak_endings = {{{"e", "e", "e", "en"}, {"en", "e", "e", "en"}, {"en", "en", "en", "en"}}};
inline constexpr Endings mixed_endings = {{{"er", "e", "es", "en"}, {"en", "e", "es", "en"}, {"en", "en", "en", "en"}}};
inline constexpr Endings ein_endings = {{{"", "e", "", "e"}, {"en", "e", "", "e"}, {"em", "er", "em", "en"}}};
inline constexpr Endings definite_articles = {
    {{"der", "die", "das", "die"}, {"den", "die", "das", "die"}, {"dem", "der", "dem", "den"}}};

inline Text ending(const Endings& table, Case in, Gender gender, bool plural) {
  return table[static_cast<std::size_t>(in)][plural ? 3 : static_cast<std::size_t>(gender)];
}

inline std::string german_noun(const Noun& noun, Case in, bool plural) {
  if (!plural) return std::string(noun.weak && in != Case::nominative ? noun.plural : noun.german);
  std::string form(noun.plural);
  if (in == Case::dative && !ends_with_any(form, {"n", "s"})) form += 'n';
  return form;
}

inline std::string german_adjective(const Adjective& adjective, Text ending) {
  std::string stem(adjective.german);
  if (stem == "teuer") stem = "teur";
  if (stem == "dunkel") stem = "dunkl";
  if (stem.ends_with('e')) stem.pop_back();  // müde, leise
  return stem += ending;
}

// ---- German verbs -----------------------------------------------------------------------------------------------

inline std::string separable_prefix(Text infinitive) {
  const auto bar = infinitive.find('|');
  return bar == Text::npos ? std::string() : std::string(infinitive.substr(0, bar));
}

inline std::string without_prefix(Text infinitive) {
  const auto bar = infinitive.find('|');
  return std::string(bar == Text::npos ? infinitive : infinitive.substr(bar + 1));
}

inline std::string german_infinitive(Text verb) { return separable_prefix(verb) + without_prefix(verb); }

inline std::string verb_stem(Text infinitive) {
  std::string stem = without_prefix(infinitive);
  stem.resize(stem.size() - (stem.ends_with("en") ? 2 : 1));  // füttern, lächeln keep their e
  return stem;
}

/// Stems that need an e before t and st: antwort-e-t, öffn-e-t.
inline bool needs_e(Text stem) { return ends_with_any(stem, {"t", "d", "ffn", "chn", "gn", "tm", "dm"}); }

template <std::size_t n>
Text irregular_form(const Irregular (&table)[n], Text infinitive, Person person) {
  for (const Irregular& verb : table) {
    if (verb.infinitive == infinitive) return verb.forms[static_cast<std::size_t>(person)];
  }
  return {};
}

/// The finite present without a separable prefix. `change` is the lexicon's stem for du and er (lies-, gib-).
inline std::string german_present(Text infinitive, Text change, Person person) {
  if (const Text form = irregular_form(present_forms, infinitive, person); !form.empty()) return std::string(form);
  const std::string stem = verb_stem(infinitive);
  const std::string e = needs_e(stem) ? "e" : "";
  switch (person) {
    case 0:
      return stem.ends_with("el") ? stem.substr(0, stem.size() - 2) + "le" : stem + "e";
    case 1: {
      const std::string base = change.empty() ? stem + e : std::string(change);
      return base + (ends_with_any(base, {"s", "ß", "z", "x"}) ? "t" : "st");
    }
    case 2:
      return change.empty() ? stem + e + "t" : std::string(change) + "t";
    case 4:
      return stem + e + "t";
    default:
      return without_prefix(infinitive);
  }
}

/// Simple past of the few verbs that use it in speech (sein, haben, mögen, modals); empty for all others.
inline std::string german_past(Text infinitive, Person person) {
  return std::string(irregular_form(past_forms, infinitive, person));
}

inline std::string german_participle(const Verb& verb) {
  const std::string prefix = separable_prefix(verb.german);
  if (!verb.participle.empty()) return prefix + std::string(verb.participle);
  const std::string infinitive = without_prefix(verb.german), stem = verb_stem(infinitive);
  const bool unstressed = infinitive.ends_with("ieren") || starts_with_any(stem, {"be", "ver", "er", "ent", "zer"});
  return prefix + (unstressed ? "" : "ge") + stem + (infinitive.ends_with("ieren") || !needs_e(stem) ? "t" : "et");
}

// ---- English ----------------------------------------------------------------------------------------------------

inline bool is_vowel(char letter) { return Text("aeiou").find(letter) != Text::npos; }

/// Whether a word takes "an": by its sound, not its letter.
inline bool starts_with_vowel_sound(Text word) {
  if (starts_with_any(word, {"uni", "use", "eu"})) return false;
  return starts_with_any(word, {"hour", "honest"}) || (!word.empty() && is_vowel(word[0]));
}

inline std::string with_s(Text word) {
  if (word.size() > 1 && word.ends_with('y') && !is_vowel(word[word.size() - 2]))
    return std::string(word.substr(0, word.size() - 1)) + "ies";
  const bool hisses = ends_with_any(word, {"s", "sh", "ch", "x", "z", "go", "do", "potato", "tomato"});
  return std::string(word) + (hisses ? "es" : "s");
}

inline std::string english_noun(const Noun& noun, bool plural) {
  if (!plural) return std::string(noun.english);
  return noun.english_plural.empty() ? with_s(noun.english) : std::string(noun.english_plural);
}

/// One short vowel before one last consonant: swim, run, get (and forget).
inline bool doubles_last(Text verb) {
  if (verb == "forget") return true;
  if (verb.size() < 3 || is_vowel(verb.back()) || Text("wxy").find(verb.back()) != Text::npos) return false;
  int vowels = 0;
  for (const char letter : verb) vowels += is_vowel(letter) ? 1 : 0;
  return vowels == 1 && is_vowel(verb[verb.size() - 2]);
}

/// Inflects the first word of a verb phrase: "look for" -> "looks for", "pick|up" -> "picks|up".
template <class Inflect>
std::string on_first_word(Text phrase, Inflect inflect) {
  const auto end = phrase.find_first_of(" |");
  if (end == Text::npos) return inflect(phrase);
  return inflect(phrase.substr(0, end)) + std::string(phrase.substr(end));
}

inline std::string third_person_s(Text phrase) {
  return on_first_word(phrase, [](Text verb) { return verb == "have" ? std::string("has") : with_s(verb); });
}

inline std::string regular_past(Text phrase) {
  return on_first_word(phrase, [](Text verb) {
    std::string form(verb);
    if (verb.ends_with('e')) return form + "d";
    if (verb.ends_with('y') && !is_vowel(verb[verb.size() - 2])) return form.replace(form.size() - 1, 1, "ied");
    if (doubles_last(verb)) form += verb.back();
    return form + "ed";
  });
}

inline std::string ing_form(Text phrase) {
  return on_first_word(phrase, [](Text verb) {
    std::string form(verb);
    if (verb.ends_with('e') && !verb.ends_with("ee")) form.pop_back();
    if (doubles_last(verb)) form += verb.back();
    return form + "ing";
  });
}

inline std::string english_past(const Verb& verb) {
  return verb.past.empty() ? regular_past(verb.english) : std::string(verb.past);
}

inline std::string english_participle(const Verb& verb) {
  return verb.perfect.empty() ? english_past(verb) : std::string(verb.perfect);
}

/// future: German present with a future time; shall: werden.
enum class Tense { present, past, future, shall };

inline Text english_be(Person person, Tense tense) {
  if (tense == Tense::past) return person == 0 || person == 2 ? "was" : "were";
  return person == 0 ? "am" : person == 2 ? "is" : "are";
}

}  // namespace examples::grammar
