// Small models of both programs that train, and commands of them.
#pragma once

#include <algorithm>
#include <string>

#include "examples/corpus_files.hpp"
#include "examples/programs.hpp"

namespace programs {

inline Arguments joined(Arguments first, const Arguments& more) {
  first.insert(first.end(), more.begin(), more.end());
  return first;
}

/// A folder with a small corpus for both programs and tiny configs.
struct Workplace : Folder {
  Workplace() {
    write_corpus(folder / "data", 200, 20);
    write(folder / "tiny.json", marian);
    write(folder / "tiny_roberta.json", roberta);
  }

  Arguments training(const std::string& output, const Arguments& more = {}) const {
    return joined({"train", "--data", path("data"), "--config", path("tiny.json"), "--vocab_size", "200",
                   "--mini_batch_words", "400", "--threads", "1", "--no_bleu", "--output_dir", path(output)},
                  more);
  }
  Arguments mlm_training(const std::string& output, const Arguments& more = {}) const {
    return joined({"train", "--data", path("data"), "--config", path("tiny_roberta.json"), "--vocab_size", "300",
                   "--threads", "1", "--output_dir", path(output)},
                  more);
  }
  std::string translator() const { return model("translation", training("translator", {"--max_steps", "2"})); }
  std::string masked_lm() const { return model("masked_lm", mlm_training("masked_lm", {"--max_steps", "2"})); }
  Arguments translating(const Arguments& more = {}) const {
    return joined({"translate", "--model", path("translator"), "--max_length", "8", "--threads", "1"}, more);
  }
  Arguments evaluating(const Arguments& more = {}) const {
    return joined({"evaluate", "--model", path("translator"), "--max_length", "8", "--threads", "1", "--source",
                   path("data/valid.de"), "--reference", path("data/valid.en")},
                  more);
  }

  static constexpr const char* marian =
      R"({"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
          "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
          "max_position_embeddings": 64})";
  static constexpr const char* roberta =
      R"({"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32,
          "max_position_embeddings": 34})";

 private:
  std::string model(const std::string& program, const Arguments& arguments) const {
    const auto outcome = run(program, arguments);
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return arguments[std::find(arguments.begin(), arguments.end(), "--output_dir") - arguments.begin() + 1];
  }
};

}  // namespace programs
