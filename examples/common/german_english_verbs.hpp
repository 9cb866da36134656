// The verbs of the demonstration corpus: stem changes, participles, frames, the kinds of subject and object that make
// sense, what else a clause with them may say; modals and irregular finite forms.
#pragma once

#include <array>
#include <string_view>

#include "german_english_nouns.hpp"

namespace examples::grammar {

/// How a verb takes its objects. A prepositional verb says which preposition, with which case.
enum class Frame { none, accusative, dative, both, preposition };

enum Trait : unsigned {
  with_sein = 1u << 0,   // perfect with sein
  stative = 1u << 1,     // no progressive in English, nothing one does gladly or on purpose
  motion = 1u << 2,      // may say where to
  somewhere = 1u << 3,   // may say where
  in_manner = 1u << 4,   // may say how
  optional = 1u << 5,    // may drop its object
  for_someone = 1u << 6  // may say for whom
};

struct Verb {
  Text german;                       // '|' after a separable prefix
  Text change, participle;           // the stem of du and er/sie/es where it differs; the participle where it is strong
  Text english, past, perfect = {};  // '|' before a particle that follows a pronoun: picks him up
  Frame frame = Frame::none;
  unsigned subjects = person, objects = 0, traits = 0;
  Text preposition = {};
  Case governs = Case::accusative;
};

constexpr Frame acc = Frame::accusative, dat = Frame::dative, pre = Frame::preposition;
constexpr unsigned act = somewhere | in_manner;

inline constexpr Verb verbs[] = {
    {"schlafen", "schläf", "geschlafen", "sleep", "slept", "", Frame::none, living, 0, somewhere},
    {"lachen", "", "", "laugh", "", "", Frame::none, person, 0, act},
    {"weinen", "", "", "cry", "", "", Frame::none, person, 0, act},
    {"tanzen", "", "", "dance", "", "", Frame::none, person, 0, act},
    {"arbeiten", "", "", "work", "", "", Frame::none, person, 0, act},
    {"singen", "", "gesungen", "sing", "sang", "sung", acc, person, song, act | optional},
    {"spielen", "", "", "play", "", "", Frame::none, living, 0, somewhere},
    {"warten", "", "", "wait", "", "", Frame::none, person, 0, somewhere},
    {"wohnen", "", "", "live", "", "", Frame::none, person, 0, somewhere | stative},
    {"gehen", "", "gegangen", "go", "went", "gone", Frame::none, person, 0, with_sein | motion},
    {"laufen", "läuf", "gelaufen", "run", "ran", "run", Frame::none, living, 0, with_sein | motion | in_manner},
    {"fahren", "fähr", "gefahren", "drive", "drove", "driven", Frame::none, person, 0, with_sein | motion | in_manner},
    {"kommen", "", "gekommen", "come", "came", "come", Frame::none, person, 0, with_sein | motion},
    {"reisen", "", "", "travel", "", "", Frame::none, person, 0, with_sein | motion},
    {"schwimmen", "", "geschwommen", "swim", "swam", "swum", Frame::none, living, 0, with_sein | in_manner},
    {"an|kommen", "", "gekommen", "arrive", "", "", Frame::none, person | vehicle, 0, with_sein},
    {"auf|stehen", "", "gestanden", "get up", "got up", "gotten up", Frame::none, person, 0, with_sein},
    {"ein|schlafen", "schläf", "geschlafen", "fall asleep", "fell asleep", "fallen asleep", Frame::none, living, 0,
     with_sein},
    {"zurück|kommen", "", "gekommen", "come back", "came back", "come back", Frame::none, living, 0, with_sein},
    {"lesen", "lies", "gelesen", "read", "read", "read", acc, person, writing | tale, somewhere | optional},
    {"schreiben", "", "geschrieben", "write", "wrote", "written", acc, person, writing | tale, somewhere | for_someone},
    {"kaufen", "", "", "buy", "bought", "", acc, person, goods | drink | vehicle, for_someone},
    {"verkaufen", "", "", "sell", "sold", "", acc, person, goods | vehicle, 0},
    {"essen", "iss", "gegessen", "eat", "ate", "eaten", acc, living, food, somewhere | optional},
    {"trinken", "", "getrunken", "drink", "drank", "drunk", acc, living, drink, somewhere},
    {"kochen", "", "", "cook", "", "", acc, person, food, optional | for_someone},
    {"sehen", "sieh", "gesehen", "see", "saw", "seen", acc, living, living | touchable, stative},
    {"finden", "", "gefunden", "find", "found", "", acc, person, living | object | clothing | vehicle | writing,
     stative},
    {"suchen", "", "", "look for", "", "", acc, living, living | object | clothing | writing | vehicle, 0},
    {"tragen", "träg", "getragen", "carry", "", "", acc, person, object | container | writing, 0},
    {"brauchen", "", "", "need", "", "", acc, person, person | thing | drink | idea, stative},
    {"lieben", "", "", "love", "", "", acc, person, living | food | sound | idea, stative},
    {"kennen", "", "gekannt", "know", "knew", "known", acc, person, person | place | tale | idea, stative},
    {"besuchen", "", "", "visit", "", "", acc, person, person | place, 0},
    {"verstehen", "", "verstanden", "understand", "understood", "", acc, person, person | tale | idea, stative},
    {"vergessen", "vergiss", "vergessen", "forget", "forgot", "forgotten", acc, person, object | clothing | tale | idea,
     stative},
    {"verlieren", "", "verloren", "lose", "lost", "", acc, person, object | clothing | writing, stative},
    {"öffnen", "", "", "open", "", "", acc, person, door | container, 0},
    {"schließen", "", "geschlossen", "close", "", "", acc, person, door | container, 0},
    {"waschen", "wäsch", "gewaschen", "wash", "", "", acc, person, clothing | vehicle, 0},
    {"malen", "", "", "paint", "", "", acc, person, animal | object | place, optional | for_someone},
    {"fragen", "", "", "ask", "", "", acc, person, person, 0},
    {"treffen", "triff", "getroffen", "meet", "met", "", acc, person, person, somewhere},
    {"hören", "", "", "hear", "heard", "", acc, living, living | sound, stative},
    {"reparieren", "", "", "repair", "", "", acc, person, vehicle | furniture | door, 0},
    {"bezahlen", "", "", "pay for", "paid for", "", acc, person, food | drink | clothing | writing, 0},
    {"füttern", "", "", "feed", "fed", "", acc, person, animal, 0},
    {"benutzen", "", "", "use", "", "", acc, person, object | vehicle, 0},
    {"haben", "", "gehabt", "have", "had", "", acc, person, animal | thing | idea, stative},
    {"mögen", "", "", "like", "", "", acc, person, living | food | drink | place | idea, stative},
    {"an|rufen", "", "gerufen", "call", "", "", acc, person, person, 0},
    {"ein|laden", "läd", "geladen", "invite", "", "", acc, person, person, 0},
    {"ab|holen", "", "", "pick|up", "", "", acc, person, person | clothing, 0},
    {"mit|bringen", "", "gebracht", "bring|along", "brought|along", "", acc, person, food | object | person, 0},
    {"an|ziehen", "", "gezogen", "put|on", "put|on", "", acc, person, clothing, 0},
    {"auf|räumen", "", "", "tidy|up", "", "", acc, person, place, 0},
    {"weg|werfen", "wirf", "geworfen", "throw|away", "threw|away", "thrown|away", acc, person,
     object | clothing | writing, 0},
    {"auf|essen", "iss", "gegessen", "eat|up", "ate|up", "eaten|up", acc, living, food, 0},
    {"helfen", "hilf", "geholfen", "help", "", "", dat, person, living, 0},
    {"danken", "", "", "thank", "", "", dat, person, person, 0},
    {"antworten", "", "", "answer", "", "", dat, person, person, 0},
    {"folgen", "", "", "follow", "", "", dat, living, living, with_sein},
    {"zu|hören", "", "", "listen to", "", "", dat, person, person, 0},
    {"geben", "gib", "gegeben", "give", "gave", "given", Frame::both, person, food | object | writing, 0},
    {"zeigen", "", "", "show", "showed", "shown", Frame::both, person, object | writing | vehicle | clothing, 0},
    {"schicken", "", "", "send", "sent", "", Frame::both, person, writing | object, 0},
    {"warten", "", "", "wait for", "", "", pre, person, person | vehicle, 0, "auf", Case::accusative},
    {"denken", "", "gedacht", "think about", "thought about", "", pre, person, living | place | idea, 0, "an",
     Case::accusative},
    {"sprechen", "sprich", "gesprochen", "talk to", "", "", pre, person, person, 0, "mit", Case::dative},
    {"spielen", "", "", "play with", "", "", pre, living, living, 0, "mit", Case::dative},
    {"träumen", "", "", "dream of", "", "", pre, person, vehicle | place | animal, 0, "von", Case::dative},
    {"auf|passen", "", "", "look after", "", "", pre, person, living, 0, "auf", Case::accusative},
};

/// Verbs that report a clause, with dass and with ob.
inline constexpr Verb reporting[] = {
    {"wissen", "", "gewusst", "know", "knew", "known", Frame::none, person, 0, stative},
    {"sagen", "", "", "say", "said"},
    {"glauben", "", "", "believe", "", "", Frame::none, person, 0, stative},
    {"hoffen", "", "", "hope", ""},
    {"denken", "", "gedacht", "think", "thought"}};
inline constexpr Verb asking = {"fragen", "", "", "ask", ""};

struct Irregular {
  Text infinitive;
  std::array<Text, 6> forms;  // ich du er wir ihr sie
};

inline constexpr Irregular present_forms[] = {
    {"sein", {"bin", "bist", "ist", "sind", "seid", "sind"}},
    {"haben", {"habe", "hast", "hat", "haben", "habt", "haben"}},
    {"werden", {"werde", "wirst", "wird", "werden", "werdet", "werden"}},
    {"mögen", {"mag", "magst", "mag", "mögen", "mögt", "mögen"}},
    {"können", {"kann", "kannst", "kann", "können", "könnt", "können"}},
    {"müssen", {"muss", "musst", "muss", "müssen", "müsst", "müssen"}},
    {"wollen", {"will", "willst", "will", "wollen", "wollt", "wollen"}},
    {"sollen", {"soll", "sollst", "soll", "sollen", "sollt", "sollen"}},
    {"dürfen", {"darf", "darfst", "darf", "dürfen", "dürft", "dürfen"}},
    {"möchten", {"möchte", "möchtest", "möchte", "möchten", "möchtet", "möchten"}},
    {"wissen", {"weiß", "weißt", "weiß", "wissen", "wisst", "wissen"}},
};

inline constexpr Irregular past_forms[] = {
    {"sein", {"war", "warst", "war", "waren", "wart", "waren"}},
    {"haben", {"hatte", "hattest", "hatte", "hatten", "hattet", "hatten"}},
    {"mögen", {"mochte", "mochtest", "mochte", "mochten", "mochtet", "mochten"}},
    {"können", {"konnte", "konntest", "konnte", "konnten", "konntet", "konnten"}},
    {"müssen", {"musste", "musstest", "musste", "mussten", "musstet", "mussten"}},
    {"wollen", {"wollte", "wolltest", "wollte", "wollten", "wolltet", "wollten"}},
};

/// An English auxiliary (can) or a verb with "to" (want to). No past: not used in the past.
struct Modal {
  Text german, auxiliary, main, auxiliary_past, main_past;
};

inline constexpr Modal modals[] = {
    {"können", "can", "", "could", ""},
    {"müssen", "", "have to", "", "had to"},
    {"wollen", "", "want to", "", "wanted to"},
    {"sollen", "should", "", "", ""},
    {"dürfen", "may", "", "", ""},
    {"möchten", "would", "like to", "", ""},
};

}  // namespace examples::grammar
