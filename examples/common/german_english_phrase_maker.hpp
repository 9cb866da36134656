// Draws noun phrases and prepositional phrases: which noun, determiner, number, adjective and pronoun; contractions
// (im, zur); which pronoun may stand for which noun. The clause and sentence makers build on it.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <iterator>
#include <string>
#include <vector>

#include "german_english_clause.hpp"
#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/random.hpp"

namespace examples::grammar {

class PhraseMaker {
 protected:
  explicit PhraseMaker(std::uint64_t seed) : random_({seed, 0, 0x6772616d}) {}

  struct Seen {
    const Noun* noun;
    bool plural;
  };
  struct Wish {
    bool subject = false, definite = false, his = true, place = false, none = false;
  };

  bool chance(double p) { return random_.uniform() < p; }

  template <class Items>
  const auto& pick(const Items& items) {
    return std::begin(items)[random_.below(static_cast<std::uint32_t>(std::size(items)))];
  }

  /// One of the items for which `accept` holds; there must be one.
  template <class Items, class Accept>
  const auto& pick_if(const Items& items, Accept accept) {
    const auto fitting = std::count_if(std::begin(items), std::end(items), accept);
    if (fitting == 0) throw neural_attention::ConfigError("the lexicon has no word for a place in a sentence");
    auto chosen = std::find_if(std::begin(items), std::end(items), accept);
    for (auto left = random_.below(static_cast<std::uint32_t>(fitting)); left > 0; --left)
      chosen = std::find_if(std::next(chosen), std::end(items), accept);
    return *chosen;
  }

  // ---- noun phrases ----

  Determiner any_determiner(const Noun& noun, bool plural, const Wish& wish) {
    using enum Determiner;
    if (wish.none) return none;
    const double x = random_.uniform();
    const auto possessive = [&] {
      const Determiner choice = pick(std::array{mine, mine, yours, ours, his});
      return choice == his && !wish.his ? mine : choice;
    };
    if (noun.kinds & family) return x < 0.2 ? definite : possessive();
    if (wish.place) return x < 0.75 ? definite : x < 0.9 ? indefinite : x < 0.95 ? these : possessive();
    if (wish.definite) return x < 0.6 ? definite : x < 0.8 ? these : possessive();
    if (noun.plural.empty()) return x < 0.4 ? definite : x < 0.9 ? bare : possessive();
    if (plural) {
      if (x < 0.42) return definite;
      if (x < 0.56) return bare;
      if (x < 0.76) return count;
      if (x < 0.84) return many;
      return x < 0.90 ? possessive() : x < 0.95 ? these : all;
    }
    if (x < 0.46) return definite;
    if (x < 0.76) return indefinite;
    if (x < 0.92) return possessive();
    return x < 0.96 || !wish.subject ? these : every;
  }

  Determiner determiner(const Noun& noun, bool plural, const Wish& wish) {
    const Determiner chosen = any_determiner(noun, plural, wish);
    // "Kuchen" alone could be one or many.
    if (chosen == Determiner::bare && (wish.subject || plural) && (noun.plural.empty() || noun.german == noun.plural))
      return Determiner::definite;
    const bool spouse = noun.english == "man" || noun.english == "woman";  // "meine Frau" would be "my wife"
    const bool possessed = chosen == Determiner::mine || chosen == Determiner::yours || chosen == Determiner::ours ||
                           chosen == Determiner::his;
    return spouse && possessed ? Determiner::definite : chosen;
  }

  NounPhrase a_noun_phrase(unsigned kinds, const Wish& wish) {
    const auto fits = [&](const Noun& candidate) { return (candidate.kinds & kinds) != 0; };
    const auto fresh = [&](const Noun& candidate) {
      return fits(candidate) && std::none_of(seen_.begin(), seen_.end(),
                                             [&](const Seen& seen) { return seen.noun->english == candidate.english; });
    };
    const bool some_fresh = std::any_of(std::begin(nouns), std::end(nouns), fresh);
    const Noun& noun = some_fresh ? pick_if(nouns, fresh) : pick_if(nouns, fits);
    const bool plural = !noun.plural.empty() && !wish.place && (noun.kinds & parent) == 0 && chance(0.3);
    seen_.push_back({&noun, plural});
    const Determiner chosen = determiner(noun, plural, wish);
    const Adjective* adjective = nullptr;
    if (chance(0.25)) adjective = &pick_if(adjectives, [&](const Adjective& a) { return suits(a, noun); });
    return noun_phrase(noun, chosen, plural, adjective, chosen == Determiner::count ? pick(numbers) : Phrase{});
  }

  static bool suits(const Adjective& adjective, const Noun& noun) { return (adjective.kinds & noun.kinds) != 0; }
  static bool has_adjective(unsigned kinds) { return (kinds & (living | thing | place | idea)) != 0; }

  NounPhrase a_subject(unsigned kinds, Wish wish) {
    if ((kinds & person) != 0 && chance(0.4)) return personal_pronoun(static_cast<int>(random_.below(7)));
    wish.subject = true;
    return a_noun_phrase(kinds, wish);
  }

  /// "his" would be unclear after a child or an animal.
  static bool allows_his(const NounPhrase& subject) {
    return subject.pronoun || !subject.noun ||
           ((subject.noun->kinds & person) != 0 && subject.noun->gender != Gender::neuter);
  }

  NounPhrase an_object(unsigned kinds, const NounPhrase& subject, Case governed, Wish wish) {
    if ((kinds & person) != 0 && !wish.none && chance(0.3)) {
      const int index =
          static_cast<int>(random_.below(governed == Case::dative ? 7 : 5));  // "sie" alone could be her or them
      const NounPhrase pronoun = personal_pronoun(index);
      const bool reflexive = subject.person % 3 == pronoun.person % 3 && (subject.person % 3 != 2);
      if (!reflexive) return pronoun;
    }
    wish.his = allows_his(subject);
    return a_noun_phrase(kinds, wish);
  }

  // ---- prepositional phrases ----

  static std::string contracted(std::string phrase) {
    static constexpr Phrase pairs[] = {{"in dem ", "im "},  {"in das ", "ins "}, {"zu dem ", "zum "},
                                       {"zu der ", "zur "}, {"an dem ", "am "},  {"von dem ", "vom "}};
    for (const auto& [long_form, short_form] : pairs) {
      if (phrase.starts_with(long_form)) return std::string(short_form) + phrase.substr(long_form.size());
    }
    return phrase;
  }

  static void add_rest(Clause& clause, Text german, Text english, const NounPhrase& phrase, Case governed) {
    clause.german_rest = join({clause.german_rest, contracted(join({german, phrase.in(governed)}))});
    clause.english_rest = join({clause.english_rest, english, phrase.english_object});
  }

  enum class Places { any, inside };

  void add_place(Clause& clause, Places places = Places::any) {
    static constexpr Phrase where[] = {{"in", "in"},         {"in", "in"},           {"in", "in"},
                                       {"hinter", "behind"}, {"vor", "in front of"}, {"neben", "next to"}};
    const Phrase& at = places == Places::inside ? where[0] : pick(where);
    add_rest(clause, at.german, at.english, a_noun_phrase(place, {.his = allows_his(clause.subject), .place = true}),
             Case::dative);
  }

  void add_destination(Clause& clause) {
    const bool his = allows_his(clause.subject);
    if (chance(0.6)) {
      add_rest(clause, "in", "into", a_noun_phrase(place, {.his = his, .place = true}), Case::accusative);
    } else {
      const bool to_person = chance(0.3);
      add_rest(clause, "zu", "to",
               a_noun_phrase(to_person ? person : place, {.definite = true, .his = his, .place = true}), Case::dative);
    }
  }

  /// A pronoun for this noun would have no other noun to stand for.
  bool unmistakable(const NounPhrase& phrase) const {
    const bool plural = phrase.person == third_plural;
    return std::none_of(seen_.begin(), seen_.end(), [&](const Seen& seen) {
      if (seen.noun == phrase.noun) return false;
      if (plural || seen.plural) return plural == seen.plural;
      return phrase.noun ? seen.noun->gender == phrase.noun->gender
                         : seen.noun->gender == (phrase.english == "she" ? Gender::feminine : Gender::masculine);
    });
  }

  /// The subject of a second clause: the first subject's pronoun if that is clear, else another speaker or noun.
  NounPhrase following_subject(const NounPhrase& first, unsigned kinds) {
    const bool speaker = first.pronoun && first.person != third_singular && first.person != third_plural;
    const bool clear = speaker || ((first.pronoun || (first.definite && allows_his(first))) && unmistakable(first));
    if (clear && chance(0.6)) return first.pronoun ? first : pronoun_for(first);
    if ((kinds & person) != 0 && chance(0.4)) return personal_pronoun(pick(std::array{0, 1, 3, 4}));
    return a_noun_phrase(kinds, {.subject = true, .definite = true});
  }

  neural_attention::RandomStream random_;
  std::vector<Seen> seen_;  // the nouns of the sentence so far
};

}  // namespace examples::grammar
