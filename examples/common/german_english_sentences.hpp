// Draws sentences: statements, questions, places, professions, existence, subordinate clauses (weil, obwohl, wenn,
// dass, ob) and pronouns that follow their noun's gender.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <string>

#include "german_english_clause_maker.hpp"

namespace examples {

struct SentencePair {
  std::string german, english;
};

namespace grammar {

inline std::size_t count_words(Text sentence) {
  return sentence.empty() ? 0 : 1 + static_cast<std::size_t>(std::count(sentence.begin(), sentence.end(), ' '));
}

/// First letter to upper case (ASCII and ä, ö, ü), closing mark added.
inline std::string as_sentence(std::string words, char mark) {
  if (words.starts_with("\xC3") && words.size() > 1 && words[1] >= '\xA0')  // below are Ä, Ö and Ü
    words[1] = static_cast<char>(words[1] - 0x20);
  else if (!words.empty() && words[0] >= 'a' && words[0] <= 'z')
    words[0] = static_cast<char>(words[0] - 0x20);
  return words += mark;
}

class Generator : private ClauseMaker {
 public:
  explicit Generator(std::uint64_t seed) : ClauseMaker(seed) {}

  /// One sentence of 3 to 16 words in each language.
  SentencePair next() {
    while (true) {
      seen_.clear();
      SentencePair pair = any_kind();
      const auto fits = [](std::size_t words) { return words >= 3 && words <= 16; };
      if (fits(count_words(pair.german)) && fits(count_words(pair.english))) return pair;
    }
  }

 private:
  SentencePair any_kind() {
    const double x = random_.uniform();
    if (x < 0.44) return statement(action({}, a_tense()));
    if (x < 0.53) return statement(description({}, a_tense(), nullptr));
    if (x < 0.57) return where_it_is();
    if (x < 0.59) return profession();
    if (x < 0.62) return existence();
    if (x < 0.70) return yes_no_question();
    if (x < 0.80) return word_question();
    if (x < 0.89) return two_clauses();
    if (x < 0.94) return reported();
    return referring();
  }

  static SentencePair statement(const Clause& clause) {
    return {as_sentence(german(clause, Order::statement), '.'), as_sentence(english(clause), '.')};
  }

  SentencePair where_it_is() {
    Clause clause;
    clause.tense = chance(0.7) ? Tense::present : Tense::past;
    const bool in_box = chance(0.4);
    const Wish wish{.definite = true};
    clause.subject = a_noun_phrase(in_box ? object & ~unsigned{container} : object | writing, wish);
    const Text at = in_box ? "in" : pick(std::array<Text, 3>{"auf", "unter", "neben"});
    const Text at_english = at == "in" ? "in" : at == "auf" ? "on" : at == "unter" ? "under" : "next to";
    add_rest(clause, at, at_english, a_noun_phrase(in_box ? container : furniture, {.place = true}), Case::dative);
    clause.negated = clause.subject.definite && chance(0.15);
    if (chance(0.2)) return question(clause, "wo", "where", Rest::dropped);
    return statement(clause);
  }

  SentencePair profession() {
    Clause clause;
    clause.tense = chance(0.7) ? Tense::present : Tense::past;
    clause.subject = a_subject(person, {.definite = true});
    const NounPhrase& subject = clause.subject;
    const bool plural = subject.person >= 3;
    const Gender gender = subject.noun ? subject.noun->gender : subject.english == "she" ? f : m;
    const Noun& job_noun = pick_if(nouns, [&](const Noun& noun) {
      return (noun.kinds & job) != 0 && noun.gender == (gender == Gender::neuter ? f : gender) &&
             (!subject.noun || noun.english != subject.noun->english);
    });
    const NounPhrase what = noun_phrase(job_noun, Determiner::bare, plural);
    clause.german_rest = what.in(Case::nominative);
    clause.english_rest = noun_phrase(job_noun, plural ? Determiner::bare : Determiner::indefinite, plural).english;
    return statement(clause);
  }

  SentencePair existence() {
    const Noun& noun = pick_if(nouns, [](const Noun& candidate) {
      return !candidate.plural.empty() && (candidate.kinds & (family | door | sound | idea | place)) == 0;
    });
    using enum Determiner;
    const bool plural = chance(0.75), past = chance(0.3);
    const Determiner chosen =
        plural ? pick(std::array{many, many, count, count, none}) : pick(std::array{indefinite, none});
    const NounPhrase what = noun_phrase(noun, chosen, plural, nullptr, pick(numbers));
    seen_.push_back({&noun, plural});
    Clause where;
    where.subject = what;
    add_place(where, Places::inside);
    const bool place_opens = chance(0.3);
    const Text gibt = past ? "gab" : "gibt", is = english_be(what.person, past ? Tense::past : Tense::present);
    const std::string& some = what.in(Case::accusative);
    if (place_opens) {
      return {as_sentence(join({where.german_rest, gibt, "es", some}), '.'),
              as_sentence(join({where.english_rest, "there", is, what.english}), '.')};
    }
    return {as_sentence(join({"es", gibt, some, where.german_rest}), '.'),
            as_sentence(join({"there", is, what.english, where.english_rest}), '.')};
  }

  /// The prepositional phrase of a clause; a question drops it if its question word asks for it.
  enum class Rest { kept, dropped };

  static SentencePair question(Clause clause, Text german_word, Text english_word, Rest rest = Rest::kept) {
    clause.time_first = false;
    if (rest == Rest::dropped) clause.german_rest.clear(), clause.english_rest.clear();
    return {as_sentence(german(clause, german_word.empty() ? Order::inverted : Order::statement, german_word), '?'),
            as_sentence(english_question(clause, english_word), '?')};
  }

  Clause asked() {
    return chance(0.2) ? description({.question = true}, a_tense(), nullptr) : action({.question = true}, a_tense());
  }

  SentencePair yes_no_question() { return question(asked(), "", ""); }

  SentencePair word_question() {
    Clause clause = action({.question = true}, a_tense());
    const double x = random_.uniform();
    const unsigned traits = clause.verb->traits;
    if (x < 0.25) {
      const NounPhrase who = pronoun({"wer", "wen", "wem"}, "who", "who", third_singular);
      const Verb& verb = pick_if(verbs, [](const Verb& v) { return (v.subjects & person) != 0; });
      seen_.clear();
      clause = action_of(verb, {.question = true}, a_tense(), &who);
      clause.time_first = false;
      return {as_sentence(german(clause, Order::statement), '?'), as_sentence(english(clause), '?')};
    }
    if (clause.direct.noun && clause.indirect.empty() && (clause.direct.noun->kinds & animal) == 0) {
      const bool human = (clause.direct.noun->kinds & person) != 0;
      clause.direct = {};
      return question(clause, human ? "wen" : "was", human ? "who" : "what");
    }
    if (!clause.indirect.empty() && x < 0.7) {
      if (!clause.direct.empty()) clause.english_rest = join({clause.english_rest, "to"});
      clause.indirect = {};
      return question(clause, "wem", "who");
    }
    if ((traits & motion) != 0) return question(clause, "wohin", "where", Rest::dropped);
    if ((traits & somewhere) != 0 && x < 0.6) return question(clause, "wo", "where", Rest::dropped);
    if (x < 0.75 || !clause.time.german.empty()) {
      clause.time = {};
      return question(clause, "warum", "why");
    }
    return question(clause, "wann", "when");
  }

  Clause second_clause(const NounPhrase& first, Tense tense) {
    const Options brief{.brief = true, .any_time = false};
    if (chance(0.5)) {
      const NounPhrase subject = following_subject(first, living);
      return description(brief, tense, &subject);
    }
    const Verb& verb = pick_if(verbs, [](const Verb& v) { return (v.subjects & person) != 0; });
    const NounPhrase subject = following_subject(first, person);
    return action_of(verb, brief, tense, &subject);
  }

  SentencePair two_clauses() {
    static constexpr Phrase conjunctions[] = {{"weil", "because"}, {"wenn", "when"}, {"obwohl", "although"}};
    const Phrase& conjunction = pick(conjunctions);
    const Tense tense = conjunction.german != "wenn" && chance(0.3) ? Tense::past : Tense::present;
    const Options brief{.brief = true, .any_time = false};
    const Verb& verb = pick_if(verbs, [](const Verb& v) { return (v.subjects & person) != 0; });
    const Clause main = action_of(verb, brief, tense, nullptr);
    const Clause second = second_clause(main.subject, tense);
    if (chance(0.7)) {
      return {as_sentence(german(main, Order::statement) + ", " + german(second, Order::verb_last, conjunction.german),
                          '.'),
              as_sentence(join({english(main), conjunction.english, english(second)}), '.')};
    }
    // The clause that opens has the noun, the other the pronoun.
    return {
        as_sentence(german(main, Order::verb_last, conjunction.german) + ", " + german(second, Order::inverted), '.'),
        as_sentence(join({conjunction.english, english(main) + ",", english(second)}), '.')};
  }

  SentencePair reported() {
    Clause main;
    main.subject = a_subject(person, {.definite = true});
    const bool whether = chance(0.25);
    main.verb = whether ? &asking : &pick(reporting);
    if (!whether && main.verb->german == "wissen" && chance(0.4)) main.negated = true;
    const bool open = whether || main.negated;
    const Clause second = second_clause(main.subject, a_tense());
    return {as_sentence(german(main, Order::statement) + ", " + german(second, Order::verb_last, open ? "ob" : "dass"),
                        '.'),
            as_sentence(join({english(main), open ? "whether" : "that", english(second)}), '.')};
  }

  /// "Ich kaufe den Tisch, weil er neu ist": a pronoun with the noun's gender in German, its meaning in English.
  SentencePair referring() {
    const auto clear_verb = [](const Verb& v) {
      return v.frame == acc && (v.subjects & person) != 0 && has_adjective(v.objects);
    };
    static constexpr Phrase conjunctions[] = {{"weil", "because"}, {"obwohl", "although"}};
    const Phrase& conjunction = pick(conjunctions);
    Clause main;
    main.verb = &pick_if(verbs, clear_verb);
    main.subject = personal_pronoun(pick(std::array{0, 1, 3, 4}));
    do {
      seen_.clear();
      main.direct = a_noun_phrase(main.verb->objects, {.definite = true});
    } while ((main.direct.noun->kinds & person) != 0 && main.direct.noun->gender == Gender::neuter);
    const Noun& noun = *main.direct.noun;
    const NounPhrase it = pronoun_for(main.direct);
    Clause second;
    if (chance(0.6) && (noun.kinds & sound) == 0) {
      second = description({.brief = true, .any_time = false}, Tense::present, &it, &noun);
    } else {
      second.verb = &pick_if(verbs, [&](const Verb& v) {
        return clear_verb(v) && (v.objects & noun.kinds) != 0 && v.german != main.verb->german;
      });
      second.subject = main.subject;
      second.direct = it;
      second.negated = chance(0.2);
    }
    return {
        as_sentence(german(main, Order::statement) + ", " + german(second, Order::verb_last, conjunction.german), '.'),
        as_sentence(join({english(main), conjunction.english, english(second)}), '.')};
  }
};

}  // namespace grammar
}  // namespace examples
