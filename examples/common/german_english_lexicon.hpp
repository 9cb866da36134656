// The words of the demonstration corpus: nouns, adjectives and verbs from their own headers; times, adverbs, numbers.
#pragma once

#include <string_view>

#include "german_english_nouns.hpp"
#include "german_english_verbs.hpp"

namespace examples::grammar {

struct Phrase {
  Text german, english;
};

inline constexpr Phrase present_times[] = {
    {"heute", "today"},          {"am Morgen", "in the morning"}, {"am Abend", "in the evening"},
    {"jeden Tag", "every day"},  {"am Montag", "on Monday"},      {"am Freitag", "on Friday"},
    {"am Sonntag", "on Sunday"}, {"im Sommer", "in summer"},      {"im Winter", "in winter"}};
inline constexpr Phrase past_times[] = {{"gestern", "yesterday"},         {"letzte Woche", "last week"},
                                        {"letztes Jahr", "last year"},    {"am Montag", "on Monday"},
                                        {"heute Morgen", "this morning"}, {"gestern Abend", "yesterday evening"}};
inline constexpr Phrase future_times[] = {
    {"morgen", "tomorrow"}, {"nächste Woche", "next week"}, {"nächstes Jahr", "next year"}, {"bald", "soon"}};
inline constexpr Phrase time_units[] = {
    {"Tagen", "days"}, {"Wochen", "weeks"}, {"Monaten", "months"}, {"Jahren", "years"}};
inline constexpr Phrase frequencies[] = {
    {"oft", "often"}, {"immer", "always"}, {"manchmal", "sometimes"}, {"nie", "never"}};
inline constexpr Phrase manners[] = {
    {"schnell", "quickly"}, {"langsam", "slowly"}, {"laut", "loudly"}, {"leise", "quietly"}};
inline constexpr Phrase numbers[] = {{"zwei", "two"},  {"drei", "three"},   {"vier", "four"},     {"fünf", "five"},
                                     {"sechs", "six"}, {"sieben", "seven"}, {"acht", "eight"},    {"neun", "nine"},
                                     {"zehn", "ten"},  {"zwölf", "twelve"}, {"zwanzig", "twenty"}};

}  // namespace examples::grammar
