// The nouns and adjectives of the demonstration corpus, with gender, plural and what they denote. A German word has one
// English word, so that a sentence has one right translation.
#pragma once

#include <string_view>

namespace examples::grammar {

using Text = std::string_view;

enum class Gender { masculine, feminine, neuter };
enum class Case { nominative, accusative, dative };

/// What a noun denotes, as bits: verbs, adjectives and prepositions name the kinds they go with.
enum Kind : unsigned {
  person = 1u << 0,
  animal = 1u << 1,
  food = 1u << 2,
  drink = 1u << 3,
  writing = 1u << 4,
  object = 1u << 5,
  clothing = 1u << 6,
  vehicle = 1u << 7,
  place = 1u << 8,       // one can be in it
  furniture = 1u << 9,   // things lie on or under it
  container = 1u << 10,  // things lie in it
  door = 1u << 11,       // opens and closes
  sound = 1u << 12,
  idea = 1u << 13,
  job = 1u << 14,
  family = 1u << 15,  // "my mother" rather than "a mother"
  parent = 1u << 16,  // one has one
  song = 1u << 18,
  tale = 1u << 17,  // one reads it, one cannot carry it
  living = person | animal,
  goods = food | writing | object | clothing | furniture | container,
  thing = goods | vehicle | door,
};

struct Noun {
  Text german, plural;  // no plural: a mass noun
  Gender gender;
  Text english;
  unsigned kinds;
  Text english_plural = {};  // only where irregular
  bool weak = false;         // takes its plural form in the accusative and dative singular (den Jungen)
};

constexpr Gender m = Gender::masculine, f = Gender::feminine, n = Gender::neuter;

inline constexpr Noun nouns[] = {
    {"Mann", "Männer", m, "man", person, "men"},
    {"Frau", "Frauen", f, "woman", person, "women"},
    {"Kind", "Kinder", n, "child", person, "children"},
    {"Junge", "Jungen", m, "boy", person, "", true},
    {"Mädchen", "Mädchen", n, "girl", person},
    {"Lehrer", "Lehrer", m, "teacher", person | job},
    {"Lehrerin", "Lehrerinnen", f, "teacher", person | job},
    {"Arzt", "Ärzte", m, "doctor", person | job},
    {"Ärztin", "Ärztinnen", f, "doctor", person | job},
    {"Student", "Studenten", m, "student", person | job, "", true},
    {"Freund", "Freunde", m, "friend", person},
    {"Freundin", "Freundinnen", f, "friend", person},
    {"Nachbar", "Nachbarn", m, "neighbor", person, "", true},
    {"Koch", "Köche", m, "cook", person | job},
    {"Bäcker", "Bäcker", m, "baker", person | job},
    {"Bauer", "Bauern", m, "farmer", person | job, "", true},
    {"König", "Könige", m, "king", person},
    {"Königin", "Königinnen", f, "queen", person},
    {"Sänger", "Sänger", m, "singer", person | job},
    {"Künstlerin", "Künstlerinnen", f, "artist", person | job},
    {"Polizist", "Polizisten", m, "policeman", person | job, "policemen", true},
    {"Gast", "Gäste", m, "guest", person},
    {"Vater", "Väter", m, "father", person | family | parent},
    {"Mutter", "Mütter", f, "mother", person | family | parent},
    {"Bruder", "Brüder", m, "brother", person | family},
    {"Schwester", "Schwestern", f, "sister", person | family},
    {"Sohn", "Söhne", m, "son", person | family},
    {"Tochter", "Töchter", f, "daughter", person | family},
    {"Tante", "Tanten", f, "aunt", person | family},
    {"Onkel", "Onkel", m, "uncle", person | family},
    {"Hund", "Hunde", m, "dog", animal},
    {"Katze", "Katzen", f, "cat", animal},
    {"Pferd", "Pferde", n, "horse", animal},
    {"Vogel", "Vögel", m, "bird", animal},
    {"Kuh", "Kühe", f, "cow", animal},
    {"Maus", "Mäuse", f, "mouse", animal, "mice"},
    {"Bär", "Bären", m, "bear", animal, "", true},
    {"Ente", "Enten", f, "duck", animal},
    {"Schaf", "Schafe", n, "sheep", animal, "sheep"},
    {"Elefant", "Elefanten", m, "elephant", animal, "", true},
    {"Affe", "Affen", m, "monkey", animal, "", true},
    {"Apfel", "Äpfel", m, "apple", food},
    {"Birne", "Birnen", f, "pear", food},
    {"Kuchen", "Kuchen", m, "cake", food},
    {"Ei", "Eier", n, "egg", food},
    {"Kartoffel", "Kartoffeln", f, "potato", food},
    {"Suppe", "Suppen", f, "soup", food},
    {"Tomate", "Tomaten", f, "tomato", food},
    {"Kirsche", "Kirschen", f, "cherry", food},
    {"Brot", "", n, "bread", food},
    {"Käse", "", m, "cheese", food},
    {"Reis", "", m, "rice", food},
    {"Wasser", "", n, "water", drink},
    {"Milch", "", f, "milk", drink},
    {"Tee", "", m, "tea", drink},
    {"Kaffee", "", m, "coffee", drink},
    {"Saft", "", m, "juice", drink},
    {"Buch", "Bücher", n, "book", writing},
    {"Brief", "Briefe", m, "letter", writing},
    {"Zeitung", "Zeitungen", f, "newspaper", writing},
    {"Geschichte", "Geschichten", f, "story", tale | sound},
    {"Gedicht", "Gedichte", n, "poem", tale | sound},
    {"Lied", "Lieder", n, "song", sound | idea | song},
    {"Musik", "", f, "music", sound},
    {"Film", "Filme", m, "film", idea},
    {"Frage", "Fragen", f, "question", idea},
    {"Plan", "Pläne", m, "plan", idea},
    {"Idee", "Ideen", f, "idea", idea},
    {"Traum", "Träume", m, "dream", idea},
    {"Tisch", "Tische", m, "table", furniture},
    {"Stuhl", "Stühle", m, "chair", furniture},
    {"Bett", "Betten", n, "bed", furniture},
    {"Schrank", "Schränke", m, "cupboard", furniture | container},
    {"Tasche", "Taschen", f, "bag", object | container},
    {"Koffer", "Koffer", m, "suitcase", object | container},
    {"Lampe", "Lampen", f, "lamp", object},
    {"Ball", "Bälle", m, "ball", object},
    {"Tasse", "Tassen", f, "cup", object},
    {"Teller", "Teller", m, "plate", object},
    {"Schlüssel", "Schlüssel", m, "key", object},
    {"Uhr", "Uhren", f, "clock", object},
    {"Bild", "Bilder", n, "picture", object},
    {"Blume", "Blumen", f, "flower", object},
    {"Messer", "Messer", n, "knife", object, "knives"},
    {"Löffel", "Löffel", m, "spoon", object},
    {"Geschenk", "Geschenke", n, "gift", object},
    {"Regenschirm", "Regenschirme", m, "umbrella", object},
    {"Ring", "Ringe", m, "ring", object},
    {"Kamera", "Kameras", f, "camera", object},
    {"Hut", "Hüte", m, "hat", clothing},
    {"Mantel", "Mäntel", m, "coat", clothing},
    {"Schuh", "Schuhe", m, "shoe", clothing},
    {"Hemd", "Hemden", n, "shirt", clothing},
    {"Kleid", "Kleider", n, "dress", clothing},
    {"Jacke", "Jacken", f, "jacket", clothing},
    {"Fenster", "Fenster", n, "window", door},
    {"Tür", "Türen", f, "door", door},
    {"Auto", "Autos", n, "car", vehicle},
    {"Fahrrad", "Fahrräder", n, "bicycle", vehicle},
    {"Zug", "Züge", m, "train", vehicle},
    {"Bus", "Busse", m, "bus", vehicle},
    {"Schiff", "Schiffe", n, "ship", vehicle},
    {"Haus", "Häuser", n, "house", place},
    {"Garten", "Gärten", m, "garden", place},
    {"Küche", "Küchen", f, "kitchen", place},
    {"Schule", "Schulen", f, "school", place},
    {"Stadt", "Städte", f, "city", place},
    {"Dorf", "Dörfer", n, "village", place},
    {"Wald", "Wälder", m, "forest", place},
    {"Park", "Parks", m, "park", place},
    {"Zimmer", "Zimmer", n, "room", place},
    {"Museum", "Museen", n, "museum", place},
    {"Kirche", "Kirchen", f, "church", place},
    {"Bibliothek", "Bibliotheken", f, "library", place},
    {"Krankenhaus", "Krankenhäuser", n, "hospital", place},
    {"Büro", "Büros", n, "office", place},
    {"Hotel", "Hotels", n, "hotel", place},
    {"Laden", "Läden", m, "store", place},
    {"Bahnhof", "Bahnhöfe", m, "station", place},
    {"Universität", "Universitäten", f, "university", place},
};

struct Adjective {
  Text german, english;
  unsigned kinds;
};

constexpr unsigned touchable = thing | place;

inline constexpr Adjective adjectives[] = {
    {"jung", "young", living},
    {"alt", "old", living | touchable},
    {"müde", "tired", living},
    {"krank", "sick", living},
    {"glücklich", "happy", person},
    {"traurig", "sad", person},
    {"freundlich", "friendly", person},
    {"faul", "lazy", living},
    {"reich", "rich", person},
    {"arm", "poor", person},
    {"klug", "clever", living},
    {"mutig", "brave", living},
    {"hungrig", "hungry", living},
    {"ehrlich", "honest", person},
    {"berühmt", "famous", person},
    {"stark", "strong", living},
    {"wütend", "angry", person},
    {"nervös", "nervous", person},
    {"groß", "big", living | touchable},
    {"klein", "small", living | touchable},
    {"schön", "beautiful", person | touchable | sound | idea},
    {"neu", "new", (thing & ~unsigned{food}) | place | idea},
    {"teuer", "expensive", thing | drink},
    {"billig", "cheap", thing | drink},
    {"hässlich", "ugly", object | clothing | furniture | vehicle | place},
    {"schwer", "heavy", object | furniture | container},
    {"rot", "red", object | clothing | vehicle | door},
    {"blau", "blue", object | clothing | vehicle | door},
    {"gelb", "yellow", object | clothing | vehicle},
    {"schwarz", "black", animal | clothing | furniture | vehicle},
    {"grün", "green", object | clothing | vehicle | door},
    {"kaputt", "broken", furniture | vehicle | door},
    {"sauber", "clean", clothing | furniture | vehicle | place},
    {"schmutzig", "dirty", clothing | furniture | vehicle | place | animal},
    {"kalt", "cold", food | drink},
    {"warm", "warm", food | drink | clothing},
    {"frisch", "fresh", food | drink},
    {"süß", "sweet", food | drink},
    {"gut", "good", food | drink | writing | tale | sound | idea},
    {"interessant", "interesting", writing | tale | idea | person},
    {"langweilig", "boring", writing | tale | idea},
    {"wichtig", "important", writing | idea},
    {"dunkel", "dark", place},
    {"leer", "empty", container | place},
    {"nützlich", "useful", object | furniture | idea},
};

}  // namespace examples::grammar
