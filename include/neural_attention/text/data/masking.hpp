// Masks of a masked language model, drawn like BERT's and Hugging Face's data collator: each token but <s>, </s> and
// <pad> is chosen with a probability of 15%; of the chosen ones, 80% become <mask>, 10% a random piece of the whole
// vocabulary, and 10% stay. A token's draw is a pure function of (seed, epoch, number of its sequence, place): neither
// the order of the data nor the batch size changes it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/random.hpp"

namespace neural_attention::text {

struct MaskingOptions {
  double probability = 0.15;  ///< of a token to be predicted
  double mask_share = 0.8;    ///< of those, how many become <mask>
  double random_share = 0.1;  ///< and how many a random id; the others stay
  std::uint64_t seed = 42;
  bool fixed = false;  ///< every epoch has the masks of epoch 0: for figures that can be compared

  /// Throws ConfigError naming the first value that makes no sense.
  void validate() const {
    const auto share = [](const char* name, double value) {
      if (!(value >= 0.0 && value <= 1.0))
        throw ConfigError(std::string(name) + " is " + number_text(value) + ", but must be from 0 to 1");
    };
    share("the probability of a mask", probability);
    share("the share of <mask>", mask_share);
    share("the share of random tokens", random_share);
    if (mask_share + random_share > 1.0 + 1e-9)
      throw ConfigError("the shares of <mask>, " + number_text(mask_share) + ", and of random tokens, " +
                        number_text(random_share) + ", are more than 1 together");
  }
};

/// The properties of a vocabulary that masking needs.
struct MaskingVocabulary {
  std::vector<bool> special;  ///< by id: never chosen
  int mask_id = 0;
  int pad_id = 0;                ///< for the batches, which hold none
  std::vector<int> pieces = {};  ///< the ids that a random token may have; empty: all

  int size() const { return static_cast<int>(special.size()); }
};

/// The properties of `tokenizer`'s vocabulary; it has vocab_size, has_piece, bos_id, eos_id, mask_id and pad_id, like
/// ByteBpe. As in run_mlm, <unk>, <mask> and other added tokens in the text are predicted like words. <s>, </s> and
/// <pad> in the text are not, unlike there, because they have the ids of those around lines. Throws ConfigError if the
/// vocabulary lacks <s>, </s>, <mask> or <pad>.
template <class Tokenizer>
MaskingVocabulary masking_vocabulary(const Tokenizer& tokenizer) {
  MaskingVocabulary vocabulary{{}, tokenizer.mask_id(), tokenizer.pad_id()};
  const int bos = tokenizer.bos_id(), eos = tokenizer.eos_id();
  for (int id = 0; id < tokenizer.vocab_size(); ++id) {
    const bool exists = tokenizer.has_piece(id);
    vocabulary.special.push_back(!exists || id == bos || id == eos || id == vocabulary.pad_id);
    if (exists) vocabulary.pieces.push_back(id);
  }
  if (std::cmp_equal(vocabulary.pieces.size(), tokenizer.vocab_size())) vocabulary.pieces.clear();
  return vocabulary;
}

/// A sequence as the model sees it, its masked places, and the original tokens there.
struct MaskedSequence {
  std::vector<int> ids, places, originals;
};

/// All functions are const and may be called from several threads at once.
class TokenMasker {
 public:
  /// Throws ConfigError for options, or an id of <mask>, that make no sense.
  TokenMasker(MaskingVocabulary vocabulary, const MaskingOptions& options)
      : vocabulary_(std::move(vocabulary)), options_(options) {
    options_.validate();
    if (vocabulary_.mask_id < 0 || vocabulary_.mask_id >= vocabulary_.size())
      throw ConfigError("<mask> has id " + std::to_string(vocabulary_.mask_id) + " in a vocabulary of " +
                        std::to_string(vocabulary_.size()));
  }

  const MaskingVocabulary& vocabulary() const { return vocabulary_; }

  /// Whether `id` may be chosen. Throws ConfigError if it is not in the vocabulary.
  bool can_mask(int id) const {
    if (id < 0 || id >= vocabulary_.size())
      throw ConfigError("token id " + std::to_string(id) + " is not in the vocabulary of " +
                        std::to_string(vocabulary_.size()));
    return !vocabulary_.special[static_cast<std::size_t>(id)];
  }

  /// How many tokens are chosen: as many as chance chooses, or, if it chooses none, the first one that may be chosen.
  enum class Choose { ByChance, AtLeastOne };

  /// The masks of sequence number `index` in `epoch`; replaces `result`.
  void mask(std::span<const int> ids, int epoch, std::uint32_t index, Choose how_many, MaskedSequence& result) const {
    result.ids.assign(ids.begin(), ids.end());
    result.places.clear();
    result.originals.clear();
    const auto random = key(epoch);
    for (std::size_t place = 0; place < ids.size(); ++place) {
      if (!can_mask(ids[place])) continue;
      const auto words = random.words(index, static_cast<std::uint32_t>(place));
      if (unit_interval(words[0]) < options_.probability) choose(place, words, result);
    }
    if (how_many == Choose::ByChance || !result.places.empty()) return;
    for (std::size_t place = 0; place < ids.size() && result.places.empty(); ++place)
      if (can_mask(ids[place])) choose(place, random.words(index, static_cast<std::uint32_t>(place)), result);
  }

 private:
  RandomKey key(int epoch) const {
    constexpr std::uint32_t site = 0x6D61736B;  // this use of the seed and no other
    return {options_.seed, options_.fixed ? 0 : static_cast<std::uint32_t>(epoch), site};
  }

  void choose(std::size_t place, const std::array<std::uint32_t, 4>& words, MaskedSequence& result) const {
    auto& id = result.ids[place];
    result.places.push_back(static_cast<int>(place));
    result.originals.push_back(id);
    const double kind = unit_interval(words[1]);
    if (kind < options_.mask_share)
      id = vocabulary_.mask_id;
    else if (kind < options_.mask_share + options_.random_share)
      id = random_id(words[2], words[3]);
  }

  /// ⌊size · 0.high low⌋ with 64 binary places: no id is likelier than another by more than 2⁻³².
  int random_id(std::uint32_t high, std::uint32_t low) const {
    const auto& pieces = vocabulary_.pieces;
    const auto size = pieces.empty() ? static_cast<std::uint64_t>(vocabulary_.size()) : pieces.size();
    const auto drawn = static_cast<std::size_t>((size * high + (size * low >> 32)) >> 32);
    return pieces.empty() ? static_cast<int>(drawn) : pieces[drawn];
  }

  MaskingVocabulary vocabulary_;
  MaskingOptions options_;
};

}  // namespace neural_attention::text
