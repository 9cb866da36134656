// One clause in both languages. German: the finite verb is second, first (questions) or last (subordinate clauses),
// infinitives, participles and separable prefixes close the clause, "nicht" follows definite objects and precedes the
// rest. English: subject, auxiliary, not, adverb, verb, objects, with do-support if there is no auxiliary.
#pragma once

#include <array>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

#include "german_english_morphology.hpp"

namespace examples::grammar {

struct NounPhrase {
  std::array<std::string, 3> german;  // nominative, accusative, dative; all empty: no phrase
  std::string english, english_object;
  Person person = third_singular;
  bool pronoun = false, definite = true, none = false;  // none: with kein
  const Noun* noun = nullptr;

  bool empty() const { return german[0].empty() && german[1].empty() && german[2].empty(); }
  const std::string& in(Case c) const { return german[static_cast<std::size_t>(c)]; }
};

enum class Determiner { definite, indefinite, bare, none, mine, yours, ours, his, these, every, all, many, count };

inline bool is_definite(Determiner d) {
  return d == Determiner::definite || d == Determiner::mine || d == Determiner::yours || d == Determiner::ours ||
         d == Determiner::his || d == Determiner::these;
}

/// Declines determiner, adjective (may be null) and noun. `number` is read for Determiner::count only.
inline NounPhrase noun_phrase(const Noun& noun, Determiner determiner, bool plural,
                              const Adjective* adjective = nullptr, Phrase number = {}) {
  struct Form {
    Text stem;
    const Endings *own, *adjective;
    Text english_singular, english_plural;
  };
  static constexpr Endings no_endings{};
  const auto form = [&]() -> Form {
    switch (determiner) {
      case Determiner::definite:
        return {"", &definite_articles, &weak_endings, "the", "the"};
      case Determiner::indefinite:
        return {"ein", &ein_endings, &mixed_endings, "a", ""};
      case Determiner::none:
        return {"kein", &ein_endings, &mixed_endings, "no", "no"};
      case Determiner::mine:
        return {"mein", &ein_endings, &mixed_endings, "my", "my"};
      case Determiner::yours:
        return {"dein", &ein_endings, &mixed_endings, "your", "your"};
      case Determiner::ours:
        return {"unser", &ein_endings, &mixed_endings, "our", "our"};
      case Determiner::his:
        return {"sein", &ein_endings, &mixed_endings, "his", "his"};
      case Determiner::these:
        return {"dies", &strong_endings, &weak_endings, "this", "these"};
      case Determiner::every:
        return {"jed", &strong_endings, &weak_endings, "every", "every"};
      case Determiner::all:
        return {"all", &strong_endings, &weak_endings, "all", "all"};
      case Determiner::many:
        return {"viel", &strong_endings, &strong_endings, "many", "many"};
      case Determiner::count:
        return {number.german, &no_endings, &strong_endings, number.english, number.english};
      case Determiner::bare:
        break;
    }
    return {"", &no_endings, &strong_endings, "", ""};
  }();

  NounPhrase phrase;
  for (const Case c : {Case::nominative, Case::accusative, Case::dative}) {
    const std::string article = std::string(form.stem) + std::string(ending(*form.own, c, noun.gender, plural));
    const std::string describing =
        adjective ? german_adjective(*adjective, ending(*form.adjective, c, noun.gender, plural)) : std::string();
    phrase.german[static_cast<std::size_t>(c)] = join({article, describing, german_noun(noun, c, plural)});
  }
  const std::string words = join({adjective ? adjective->english : Text(), english_noun(noun, plural)});
  const auto english = [&](Text article) {
    return join({article == "a" && starts_with_vowel_sound(words) ? Text("an") : article, words});
  };
  phrase.english = english(plural ? form.english_plural : form.english_singular);
  phrase.english_object = phrase.english;
  if (determiner == Determiner::none) {  // the English verb is negated: "does not eat a pear", "any pears", "any bread"
    phrase.none = true;
    phrase.english_object = english(plural || noun.plural.empty() ? "any" : "a");
  }
  phrase.person = plural ? third_plural : third_singular;
  phrase.definite = is_definite(determiner);
  phrase.noun = &noun;
  return phrase;
}

inline NounPhrase pronoun(std::array<std::string, 3> german, Text subject, Text objective, Person person) {
  NounPhrase phrase;
  phrase.german = std::move(german);
  phrase.english = subject;
  phrase.english_object = objective;
  phrase.person = person;
  phrase.pronoun = true;
  return phrase;
}

/// ich, du, er, wir, ihr, sie (plural), and at index 6 sie (she).
inline NounPhrase personal_pronoun(int index) {
  switch (index) {
    case 0:
      return pronoun({"ich", "mich", "mir"}, "I", "me", 0);
    case 1:
      return pronoun({"du", "dich", "dir"}, "you", "you", 1);
    case 2:
      return pronoun({"er", "ihn", "ihm"}, "he", "him", 2);
    case 3:
      return pronoun({"wir", "uns", "uns"}, "we", "us", 3);
    case 4:
      return pronoun({"ihr", "euch", "euch"}, "you", "you", 4);
    case 5:
      return pronoun({"sie", "sie", "ihnen"}, "they", "them", 5);
    default:
      return pronoun({"sie", "sie", "ihr"}, "she", "her", 2);
  }
}

/// The pronoun that stands for a phrase by its gender in German and its meaning in English: der Tisch -> er, "it".
inline NounPhrase pronoun_for(const NounPhrase& phrase) {
  if (phrase.person == third_plural) return personal_pronoun(5);
  const bool human = (phrase.noun->kinds & person) != 0;
  const Gender gender = phrase.noun->gender;
  if (gender == Gender::neuter) return pronoun({"es", "es", "ihm"}, "it", "it", third_singular);
  NounPhrase result = personal_pronoun(gender == Gender::masculine ? 2 : 6);
  if (!human) result.english = result.english_object = "it";
  return result;
}

enum class Aspect { plain, progressive, already, not_yet };

struct Clause {
  const Verb* verb = nullptr;  // null: to be
  const Modal* modal = nullptr;
  Tense tense = Tense::present;
  Aspect aspect = Aspect::plain;
  NounPhrase subject, indirect, direct;  // nominative, dative, accusative
  Phrase time, frequency;
  std::string german_rest, english_rest;  // prepositional object, predicate, place, manner
  bool negated = false, gladly = false, time_first = false;
};

enum class Order { statement, inverted, verb_last };

struct GermanVerb {
  std::string finite, prefix, closing;
};

inline GermanVerb german_verb(const Clause& clause) {
  const Text verb = clause.verb ? clause.verb->german : Text("sein");
  const Text change = clause.verb ? clause.verb->change : Text();
  const Person who = clause.subject.person;
  const bool past = clause.tense == Tense::past;
  if (clause.modal) {
    const Text modal = clause.modal->german;
    return {past ? german_past(modal, who) : german_present(modal, "", who), "", german_infinitive(verb)};
  }
  if (clause.tense == Tense::shall) return {german_present("werden", "", who), "", german_infinitive(verb)};
  if (past) {
    if (const std::string simple = german_past(verb, who); !simple.empty()) return {simple, "", ""};
    const bool with_be = (clause.verb->traits & with_sein) != 0;
    return {german_present(with_be ? "sein" : "haben", "", who), "", german_participle(*clause.verb)};
  }
  return {german_present(verb, change, who), separable_prefix(verb), ""};
}

/// The German clause without punctuation; `opening` is a question word, or the clause that takes the first place.
inline std::string german(const Clause& clause, Order order, Text opening = {}) {
  const GermanVerb verb = german_verb(clause);
  const bool time_opens = clause.time_first && order == Order::statement && opening.empty();
  const Text front = !opening.empty() ? opening : time_opens ? clause.time.german : Text();
  const bool subject_opens = order == Order::statement && front.empty();

  const Text nicht = clause.negated ? "nicht" : "";
  const Text time = time_opens ? Text() : clause.time.german;
  Text aspect;
  if (clause.aspect == Aspect::already) aspect = "schon";
  if (clause.aspect == Aspect::not_yet) aspect = "noch nicht";
  const std::string late = join(
      {clause.negated ? time : Text(), clause.frequency.german, aspect, nicht, clause.gladly ? Text("gern") : Text()});
  const Text early = clause.aspect == Aspect::progressive && clause.time.german.empty() ? Text("gerade")
                     : clause.negated                                                   ? Text()
                                                                                        : time;
  const std::string &indirect = clause.indirect.in(Case::dative), &direct = clause.direct.in(Case::accusative);
  const bool indirect_pronoun = clause.indirect.pronoun, direct_pronoun = clause.direct.pronoun;
  const bool indirect_first = clause.indirect.definite;
  const bool direct_first = indirect_first && clause.direct.definite;
  const std::string middle =
      join({direct_pronoun ? direct : "", indirect_pronoun ? indirect : "", early,
            !indirect_pronoun && indirect_first ? indirect : "", !direct_pronoun && direct_first ? direct : "", late,
            !indirect_pronoun && !indirect_first ? indirect : "", !direct_pronoun && !direct_first ? direct : "",
            clause.german_rest, verb.closing});

  const std::string& subject = clause.subject.in(Case::nominative);
  if (order == Order::verb_last) return join({opening, subject, middle, verb.prefix + verb.finite});
  if (subject_opens) return join({subject, verb.finite, middle, verb.prefix});
  return join({front, verb.finite, subject, middle, verb.prefix});
}

struct EnglishVerb {
  std::string auxiliary, main;
};

inline EnglishVerb english_verb(const Clause& clause, bool needs_auxiliary) {
  const Person who = clause.subject.person;
  const bool past = clause.tense == Tense::past, third = who == third_singular;
  const auto with_do = [&](const std::string& base, const std::string& finite) -> EnglishVerb {
    if (!needs_auxiliary) return {"", finite};
    return {past ? "did" : third ? "does" : "do", base};
  };
  const bool will = clause.tense == Tense::future || clause.tense == Tense::shall;
  if (!clause.verb)
    return will ? EnglishVerb{"will", "be"} : EnglishVerb{std::string(english_be(who, clause.tense)), ""};

  const std::string base(clause.verb->english);
  if (clause.modal) {
    const Modal& modal = *clause.modal;
    if (!modal.auxiliary.empty())
      return {std::string(past ? modal.auxiliary_past : modal.auxiliary), join({modal.main, base})};
    const std::string plain = join({modal.main, base});
    return with_do(plain, past ? join({modal.main_past, base}) : third ? third_person_s(plain) : plain);
  }
  if (will) return {"will", base};
  if (clause.aspect == Aspect::progressive) return {std::string(english_be(who, Tense::present)), ing_form(base)};
  if (clause.aspect != Aspect::plain) return {third ? "has" : "have", english_participle(*clause.verb)};
  if (past) return with_do(base, english_past(*clause.verb));
  const std::string plain = clause.gladly ? "like to " + base : base;
  return with_do(plain, third ? third_person_s(plain) : plain);
}

/// The words of a statement, or of a question with its question word ("" for a yes/no question).
inline std::string english_words(const Clause& clause, std::optional<Text> question) {
  const bool asks = question.has_value();
  const bool negated = clause.negated || clause.direct.none || clause.aspect == Aspect::not_yet;
  const EnglishVerb verb = english_verb(clause, negated || asks);
  std::string main = verb.main, direct = clause.direct.english_object;
  if (const auto bar = main.find('|'); bar != std::string::npos) {  // picks him up, picks up the child
    const std::string particle = main.substr(bar + 1);
    main.resize(bar);
    direct = clause.direct.pronoun ? join({direct, particle}) : join({particle, direct});
  }
  std::string auxiliary = verb.auxiliary;
  Text adverb = clause.frequency.english, no = negated ? "not" : "";
  if (clause.aspect == Aspect::already) adverb = "already";
  if (auxiliary == "can" && negated && !asks) auxiliary = "cannot", no = "";
  const Text opening = clause.time_first && !asks ? clause.time.english : Text();
  const Text closing = clause.time_first && !asks ? Text() : clause.time.english;
  const Text yet = clause.aspect == Aspect::not_yet ? "yet" : "";
  const std::string rest =
      join({no, adverb, main, clause.indirect.english_object, direct, clause.english_rest, yet, closing});
  if (asks) return join({*question, auxiliary, clause.subject.english, rest});
  return join({opening, clause.subject.english, auxiliary, rest});
}

/// The English clause without punctuation, as a statement.
inline std::string english(const Clause& clause) { return english_words(clause, std::nullopt); }

/// The same as a question; without a question word, one that yes or no answers.
inline std::string english_question(const Clause& clause, Text word = "") { return english_words(clause, word); }

}  // namespace examples::grammar
