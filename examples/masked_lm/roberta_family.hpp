// RoBERTa's properties for the code that programs share.
#pragma once

#include <string>

#include "common/any_model.hpp"

namespace examples {

struct RobertaFamily {
  using Config = na::RobertaConfig;
  using Model = AnyRoberta;

  /// As in the paper, the output projection stays linear.
  static na::Roles<std::string> arrangement(const std::string& projector) {
    return {projector, projector, projector, std::string(na::name_of_projector<na::Linear>)};
  }

  static Config small(int vocabulary) { return na::roberta_small(vocabulary); }
  static Config base(int vocabulary) { return na::roberta_base(vocabulary); }

  static void set_dropout(Config& config, double rate) {
    config.hidden_dropout_prob = config.attention_probs_dropout_prob = rate;
  }
  /// A vocabulary from ByteBpe::train has roberta-base's ids.
  static void set_vocabulary(Config& config, int size) {
    const Config ids;
    config.vocab_size = size;
    config.bos_token_id = ids.bos_token_id;
    config.pad_token_id = ids.pad_token_id;
    config.eos_token_id = ids.eos_token_id;
  }
};

}  // namespace examples
