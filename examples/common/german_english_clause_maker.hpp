// Draws clauses: a verb with its objects, or to be with an adjective; then modal, aspect, negation, adverbs and time,
// so far as one clause bears them.
#pragma once

#include <cstdint>
#include <string>

#include "german_english_phrase_maker.hpp"

namespace examples::grammar {

class ClauseMaker : protected PhraseMaker {
 protected:
  using PhraseMaker::PhraseMaker;

  struct Options {
    bool brief = false, question = false, any_time = true;
  };

  Phrase a_time(Tense tense) {
    if (tense == Tense::present) return pick(present_times);
    if (tense != Tense::past) {
      if (chance(0.25)) return counted_time("in", "in", "");
      return pick(future_times);
    }
    if (chance(0.25)) return counted_time("vor", "", "ago");
    return pick(past_times);
  }

  Phrase counted_time(Text german, Text before, Text after) {
    const Phrase &number = pick(numbers), &unit = pick(time_units);
    counted_ = {join({german, number.german, unit.german}), join({before, number.english, unit.english, after})};
    return {counted_.german, counted_.english};
  }

  Tense a_tense() {
    const double x = random_.uniform();
    return x < 0.58 ? Tense::present : x < 0.86 ? Tense::past : Tense::shall;
  }

  Clause action(const Options& options, Tense tense) { return action_of(pick(verbs), options, tense, nullptr); }

  /// `subject`: given by the caller, or null.
  Clause action_of(const Verb& verb, const Options& options, Tense tense, const NounPhrase* subject) {
    Clause clause;
    clause.verb = &verb;
    clause.tense = tense;
    const bool negate = !options.question && chance(0.17);
    clause.subject = subject ? *subject : a_subject(verb.subjects, {.definite = negate});
    const bool human = clause.subject.pronoun || !clause.subject.noun || (clause.subject.noun->kinds & person) != 0;
    const bool no_object = (verb.traits & optional) != 0 && chance(0.3);

    if (verb.frame == Frame::both)
      clause.indirect = an_object(person, clause.subject, Case::dative, {.definite = true});
    if (verb.frame == dat)
      clause.indirect = an_object(verb.objects, clause.subject, Case::dative, {.definite = negate});
    if ((verb.frame == acc && !no_object) || verb.frame == Frame::both) {
      const bool none = negate && !clause.subject.none && chance(0.5);
      const unsigned kinds = verb.frame == Frame::both ? verb.objects & ~unsigned{person} : verb.objects;
      clause.direct = an_object(kinds, clause.subject, Case::accusative, {.definite = negate && !none, .none = none});
    }
    if (verb.frame == pre) {
      const NounPhrase object = an_object(verb.objects, clause.subject, verb.governs, {.definite = negate});
      add_rest(clause, verb.preposition, "", object, verb.governs);
    }
    clause.negated = negate && !clause.direct.none && !clause.subject.none;
    add_extras(clause, options);
    add_mood(clause, options, human, negate);
    return clause;
  }

  void add_extras(Clause& clause, const Options& options) {
    const unsigned traits = clause.verb->traits;
    const bool lives = clause.verb->german == "wohnen";
    if (lives || ((traits & somewhere) != 0 && !options.brief && chance(0.4))) {
      add_place(clause, lives ? Places::inside : Places::any);
    } else if ((traits & motion) != 0 && chance(options.brief ? 0.4 : 0.8)) {
      add_destination(clause);
    } else if ((traits & in_manner) != 0 && clause.direct.empty() && chance(0.35)) {
      const Phrase& how = pick(manners);
      clause.german_rest = how.german;
      clause.english_rest = how.english;
    } else if ((traits & for_someone) != 0 && !clause.direct.empty() && !options.brief && chance(0.35)) {
      add_rest(clause, "für", "for", a_noun_phrase(person, {.definite = true, .his = allows_his(clause.subject)}),
               Case::accusative);
    }
  }

  /// Modal, aspect, "gern", frequency and time, at most what one clause bears.
  void add_mood(Clause& clause, const Options& options, bool human, bool negate) {
    const Verb& verb = *clause.verb;
    const bool calm = (verb.traits & stative) != 0, present = clause.tense == Tense::present;
    const bool past = clause.tense == Tense::past, objects_known = clause.direct.definite && clause.indirect.definite;
    const bool bare = clause.direct.empty() && clause.indirect.empty() && verb.frame != pre;
    if (human && verb.german != "mögen" && (present || past) && chance(present ? 0.28 : 0.12)) {
      clause.modal = &pick_if(modals, [&](const Modal& modal) {
        return present || !modal.auxiliary_past.empty() || !modal.main_past.empty();
      });
    } else if (present && !calm && !negate && !options.brief && chance(0.2)) {
      clause.aspect = Aspect::progressive;
      if (chance(0.4)) clause.time = {"jetzt", "now"};
    } else if (past && !calm && objects_known && !clause.negated && !clause.direct.none && chance(0.25)) {
      clause.aspect = options.question || chance(0.6) ? Aspect::already : Aspect::not_yet;
      if (clause.subject.none || (clause.subject.noun && !clause.subject.definite)) clause.aspect = Aspect::already;
      return;
    } else if (present && human && bare && (verb.traits & (act | motion | optional)) != 0 && !calm &&
               verb.german != "warten" && chance(0.4)) {
      clause.gladly = true;
      return;
    } else if ((present || past) && !calm && !negate && !options.question && chance(0.15)) {
      clause.frequency = pick(frequencies);
    }
    if (!clause.time.german.empty() || !options.any_time || !chance(options.brief ? 0.15 : 0.35)) {
      place_time(clause, options);
      return;
    }
    if (clause.aspect != Aspect::plain || !clause.frequency.german.empty()) return;
    if (present && !clause.modal && chance(0.25)) clause.tense = Tense::future;
    if (calm && clause.tense == Tense::present) return;  // "needs every day", "knows on Monday"
    clause.time = a_time(clause.tense);
    place_time(clause, options);
  }

  void place_time(Clause& clause, const Options& options) {
    clause.time_first = !clause.time.german.empty() && !options.brief && !options.question && chance(0.5);
  }

  /// Subject + to be + adjective. `subject` as in action_of.
  Clause description(const Options& options, Tense tense, const NounPhrase* subject, const Noun* meant = nullptr) {
    Clause clause;
    clause.tense = tense;
    clause.negated = chance(0.2);
    clause.subject = subject ? *subject : a_subject(living | thing | place | idea, {.definite = clause.negated});
    const Noun* noun = meant ? meant : clause.subject.noun;
    const Adjective& adjective = pick_if(adjectives, [&](const Adjective& a) {
      const bool repeated = clause.subject.english.find(a.english) != std::string::npos;
      return !repeated && (noun ? suits(a, *noun) : (a.kinds & person) != 0 && a.kinds != unsigned{living | touchable});
    });
    const Phrase degree = clause.negated || chance(0.75) ? Phrase{}
                          : chance(0.6)                  ? Phrase{"sehr", "very"}
                                                         : Phrase{"zu", "too"};
    clause.german_rest = join({degree.german, adjective.german});
    clause.english_rest = join({degree.english, adjective.english});
    if (tense == Tense::past && !options.brief && options.any_time && chance(0.3)) {
      clause.time = a_time(tense);
      place_time(clause, options);
    } else if (tense == Tense::present && !clause.negated && !options.question && chance(0.12)) {
      clause.frequency = pick(frequencies);
    }
    return clause;
  }

 private:
  struct {
    std::string german, english;
  } counted_;  // owns the words of the last counted time
};

}  // namespace examples::grammar
