// A corpus, a tiny config and runs of `translation train` on them.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "examples/corpus_files.hpp"
#include "examples/programs.hpp"

namespace programs {

/// A folder with a corpus of 200 + 20 pairs and a tiny config.
struct Workplace : Folder {
  Workplace() {
    write_corpus(folder / "data", 200, 20);
    write(folder / "tiny.json",
          R"({"d_model": 16, "encoder_layers": 1, "decoder_layers": 1, "encoder_attention_heads": 2,
              "decoder_attention_heads": 2, "encoder_ffn_dim": 32, "decoder_ffn_dim": 32,
              "max_position_embeddings": 64})");
  }

  /// `translation train` at tiny size; `more` comes last.
  Arguments training(const std::string& output, const std::string& steps, const Arguments& more = {}) const {
    Arguments arguments = {"train",
                           "--data",
                           path("data"),
                           "--config",
                           path("tiny.json"),
                           "--projector",
                           "neural",
                           "--vocab_size",
                           "200",
                           "--mini_batch_words",
                           "200",
                           "--max_steps",
                           steps,
                           "--warmup_steps",
                           "10",
                           "--logging_steps",
                           "10",
                           "--no_bleu",
                           "--output_dir",
                           path(output)};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }

  /// A model directory after a few steps.
  std::string small_model() const {
    const auto outcome = run("translation", training("model", "4"));
    BOOST_REQUIRE_MESSAGE(outcome.code == 0, outcome.err);
    return path("model");
  }

  /// With a line to translate.
  void refuses(int code, const std::string& program, const Arguments& arguments, const Arguments& parts) const {
    Folder::refuses(code, program, arguments, parts, "Der Hund schläft.\n");
  }
};

}  // namespace programs
