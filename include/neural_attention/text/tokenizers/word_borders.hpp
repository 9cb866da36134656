// Where a long text may be cut so that byte-level BPE gives its parts the ids of the whole: in front of a blank or a
// line's end before which no white space stands. GPT-2's rule (WordSplitter) ends a word there whatever follows and
// looks no further, and form C joins nothing over it. For added tokens, see AddedTokens::reach_over_spaces.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "neural_attention/text/tokenizers/added_tokens.hpp"

namespace neural_attention::text {

/// The last such place of `text`, the beginning of a longer one, from `searched` on; 0 if there is none.
/// `blanks_alone`: in front of blanks, not line ends, as a tokenizer needs it that puts a space in front of other
/// texts.
inline std::size_t last_word_border(std::string_view text, std::size_t searched, bool blanks_alone) {
  for (auto at = text.size(); at-- > std::max<std::size_t>(searched, 1);) {  // never back over what was searched
    const bool space = text[at] == ' ' || (!blanks_alone && text[at] == '\n');
    if (space && trailing_white_space(text.substr(0, at)) == 0) return at;
  }
  return 0;
}

}  // namespace neural_attention::text
