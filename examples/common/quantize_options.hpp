// The flags of the command quantize.
#pragma once

#include <string>
#include <vector>

#include "common/flags.hpp"
#include "common/model_options.hpp"

namespace examples {

struct QuantizeOptions : Flags {
  ModelDirectory model{"a model of the program's kind"};
  const std::string& output_dir = flag("output_dir", "", "Directory for the int8 model", {.required = true});
  const bool& overwrite_output_dir = flag("overwrite_output_dir", false, "Replace an existing model");

  const std::vector<std::string>& evaluate_on =
      flag("evaluate_on", std::vector<std::string>(),
           "Show the loss of quality on this text or, for a translator, on these two files: sources and translations");

  void add_to(CLI::App& app) const {
    model.add_to(app);
    Flags::add_to(app);
  }
};

/// On the CPU; each program has its own.
int quantize_model(const QuantizeOptions& options);

}  // namespace examples
