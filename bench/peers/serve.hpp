// The protocol between compare.py and the programs that it compares: a program says in one line of JSON what it is,
// then answers every line of its input with one line of JSON about one timed repetition, and ends where the input ends.
#pragma once

#include <CLI/CLI.hpp>
#include <chrono>
#include <cstdio>
#include <exception>
#include <fstream>
#include <iostream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "rates.hpp"

namespace peers {

inline void answer(const nlohmann::json& what) { std::cout << what.dump() << std::endl; }

/// repetition() returns what else there is to say about it. Each answer has its time, and what the machine could do
/// right after it, which peaks() measures.
template <class Repetition, class Peaks>
void serve(const nlohmann::json& about, Peaks&& peaks, Repetition&& repetition) {
  answer(about);
  for (std::string line; std::getline(std::cin, line);) {
    const auto start = std::chrono::steady_clock::now();
    nlohmann::json result = repetition();
    result["seconds"] = bench::seconds_since(start);
    result.update(peaks());
    answer(result);
  }
}

inline nlohmann::json read_batches(const std::string& path) {
  std::ifstream file(path);
  if (!file) throw neural_attention::FileError(path, "cannot be opened");
  return nlohmann::json::parse(file);
}

using Ids = std::vector<int>;

/// The exit code of a program whose flags `app` declares.
int parse_and_run(CLI::App& app, int count, char** arguments, auto&& run) {
  CLI11_PARSE(app, count, arguments);
  try {
    run();
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}

}  // namespace peers
