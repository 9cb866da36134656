// GPT-2's properties for the code that programs share.
#pragma once

#include <string>

#include "causal_lm/text_tokenizer.hpp"
#include "common/any_model.hpp"

namespace examples {

struct Gpt2Family {
  using Config = na::Gpt2Config;
  using Model = AnyGpt2;

  static na::Roles<std::string> arrangement(const std::string& projector) {
    return {projector, projector, projector, std::string(na::name_of_projector<na::Linear>)};
  }

  static Config small(int vocabulary) { return na::gpt2_small(vocabulary); }
  static Config base(int vocabulary) { return na::gpt2_base(vocabulary); }

  static void set_dropout(Config& config, double rate) {
    config.resid_pdrop = config.embd_pdrop = config.attn_pdrop = rate;
  }
  /// The special tokens are unknown until there is a tokenizer.
  static void set_vocabulary(Config& config, int size) {
    config.vocab_size = size;
    config.bos_token_id = config.eos_token_id = config.pad_token_id = -1;
  }
  static void set_tokens(Config& config, const TextTokenizer& tokenizer) {
    config.bos_token_id = tokenizer.begin_id();
    config.eos_token_id = tokenizer.end_id();
  }
};

}  // namespace examples
