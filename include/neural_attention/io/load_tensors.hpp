// Reads tensors from safetensors files by name. Loading is strict: if a file lacks a tensor, or has one too many or one
// of another shape, it is refused with a table that names them all, before any parameter changes.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/parameters.hpp"
#include "neural_attention/io/stored_tensors.hpp"
#include "neural_attention/io/tensor_files.hpp"
#include "neural_attention/io/tensor_groups.hpp"

namespace neural_attention::io {

/// How a file may differ from the store.
struct LoadRules {
  /// Other names of tensors in files, and the store's. Where a file has both, their values must agree.
  std::vector<std::pair<std::string, std::string>> aliases = {};
  /// Tensors that a file may lack; they stay as they are.
  std::vector<std::string> optional = {};
  /// Names that this loading ignores: tensors of the store stay as they are, and a file may have them.
  std::function<bool(const std::string&)> left_out = [](const std::string&) { return false; };
  /// Whether the files hold matrices that may be `quantizable` as int8, with scales.
  bool int8 = false;
};

namespace detail {

/// Copies a tensor into device memory, a few rows at a time.
template <class B, class Real>
void upload_tensor(const TensorFiles& files, const std::string& name, B& backend, RowsOf<Real> numbers) {
  const int step = std::max(1, elements_at_once / std::max(1, numbers.cols));
  std::vector<Real> values;
  for (int row = 0; row < numbers.rows; row += step) {
    const int count = std::min(step, numbers.rows - row);
    const auto cols = static_cast<std::size_t>(numbers.cols);
    values.resize(static_cast<std::size_t>(count) * cols);
    files.read(name, static_cast<std::size_t>(row) * cols, values.size(), values.data());
    backend(ops::UploadOf<Real>{.values = values, .x = numbers.slice(row, count)});
  }
}

/// A tensor's name from a file: unchanged if models have such names, otherwise in quotes.
std::string told(const std::string& name);

/// What does not fit, one line each; lists the first twenty of each kind.
class FaultTable {
 public:
  void add(const std::string& kind, const std::string& what);
  bool empty() const { return counts_.empty(); }
  std::string text() const { return more_ == 0 ? text_ : text_ + "\n  … and " + std::to_string(more_) + " more"; }

 private:
  std::string text_;
  std::map<std::string, std::size_t> counts_;
  std::size_t more_ = 0;
};

/// Maps each name of the store to a tensor of the files: the name itself or an alias. Adds faults of aliases to
/// `faults`.
std::map<std::string, std::string> alias_names(const TensorFiles& files, const LoadRules& rules, FaultTable& faults);

/// The files' tensor for each name of a store.
class TensorNames {
 public:
  /// Adds to `faults` what is wrong with aliases.
  TensorNames(const TensorFiles& files, const LoadRules& rules, FaultTable& faults)
      : files_(&files), aliases_(alias_names(files, rules, faults)) {}

  /// Its name in the files.
  const std::string& in_files(const std::string& name) const;
  /// Null if the files do not have it.
  const TensorInfo* operator()(const std::string& name) const { return files_->find(in_files(name)); }

 private:
  const TensorFiles* files_;
  std::map<std::string, std::string> aliases_;
};

/// Throws FileError with a table of all tensors that do not fit the groups. Does not look at the numbers.
template <class B, class Real>
TensorNames matching_tensors(const TensorFiles& files, const ParameterStore<B>& store,
                             const std::vector<TensorGroup<Real>>& groups, const LoadRules& rules) {
  FaultTable faults;
  TensorNames tensor_for(files, rules, faults);
  std::set<std::string> known;
  for (const auto& [alias, name] : rules.aliases) known.insert(alias);
  const auto check = [&](const std::string& name, const TensorInfo* tensor, const std::vector<std::int64_t>& expected) {
    if (!tensor && std::ranges::find(rules.optional, name) == rules.optional.end())
      faults.add("missing", name + " " + format_shape(expected));
    else if (tensor && tensor->shape != expected)
      faults.add("wrong shape", name + " " + format_shape(tensor->shape) + ", the model has " + format_shape(expected));
  };
  const auto check_int8 = [&](const std::string& name, const auto& entry) {
    const bool held = entry.quantizable && entry.cols <= int8::most_cols;
    if (held) {
      known.insert(scale_of(name));
      check(scale_of(name), files.find(scale_of(name)), {entry.rows});
    }
    const auto require = [&](const std::string& of, DType type, bool wanted) {
      const auto* const tensor = tensor_for(of);
      if (tensor && (tensor->dtype == type) != wanted)
        faults.add("wrong type", of + " " + std::string(dtype_name(tensor->dtype)) + ", expected " +
                                     (wanted ? std::string(dtype_name(type)) : "floats"));
    };
    require(name, DType::I8, held);
    if (held) require(scale_of(name), DType::F32, true);
  };
  // A part of a tensor of the files, which says little by itself.
  const auto part_of = [](const std::string& name, const TensorInfo& whole) {
    return name + " in " + whole.name + " " + format_shape(whole.shape);
  };
  const StoredTensors<B> stored(store, rules.int8);
  for_each_entry(store, groups, [&](const std::string& own_name, const auto& entry, const TensorGroup<Real>& group) {
    known.insert(own_name);
    if (rules.int8) check_int8(own_name, entry);
    stored.with_tensor_of(entry, [&](const StoredTensor<B>& whole) {
      const auto in_file = group.prefix + whole.name;
      const bool joined = whole.parts.size() > 1;
      if (joined && std::ranges::none_of(whole.parts, [&](const auto* part) {
            return tensor_for(group.prefix + part->name) || rules.left_out(group.prefix + part->name);
          })) {
        known.insert(in_file);
        return check(in_file, files.find(in_file), whole.shape());  // one that is there could not be divided
      }
      const TensorInfo* told_of = nullptr;  // what is said of parts is said of the file's tensor, once
      for (const auto* const part : whole.parts) {
        const auto name = group.prefix + part->name;
        if (rules.left_out(name)) continue;
        const auto* const tensor = tensor_for(name);
        const auto* const held_in = tensor ? &files.stored(tensor_for.in_files(name)) : tensor;
        if (whole.transposed && !joined)
          check(name, held_in, whole.shape());
        else if (held_in == tensor)
          check(name, tensor, shape_of(*part));
        else if (!joined)
          check(part_of(name, *held_in), tensor, shape_of(*part));
        else if (std::exchange(told_of, held_in) != held_in)
          check(in_file, held_in, whole.shape());
      }
    });
  });
  files.for_each([&](const std::string& name, const TensorInfo& tensor) {
    if (!known.contains(name) && !rules.left_out(name))
      faults.add("unexpected", told(name) + " " + format_shape(tensor.shape));
  });
  if (!faults.empty()) throw FileError(files.path().string(), "the tensors do not fit the model:" + faults.text());
  return tensor_for;
}

/// Copies the tensors that matching_tensors found.
template <class B, class Real>
void upload_tensors(const TensorFiles& files, const TensorNames& tensor_for, B& backend, const ParameterStore<B>& store,
                    const std::vector<TensorGroup<Real>>& groups, const LoadRules& rules) {
  for_each_tensor(store, groups, [&](const std::string& name, const auto&, RowsOf<Real> numbers) {
    if (tensor_for(name) && !rules.left_out(name)) upload_tensor(files, tensor_for.in_files(name), backend, numbers);
  });
}

}  // namespace detail

/// Reads tensors by name, converting the number format. Throws FileError with a table of all that does not fit; nothing
/// is changed then.
template <class B, class Real>
void load_tensors(const TensorFiles& files, B& backend, const ParameterStore<B>& store,
                  const std::vector<TensorGroup<Real>>& groups, const LoadRules& rules = {}) {
  if (store.holds_int8()) throw ConfigError("the parameters are held as int8, which only load_model can read");
  detail::upload_tensors(files, detail::matching_tensors(files, store, groups, rules), backend, store, groups, rules);
}

/// Reads what save_tensors wrote.
template <class B, class Real>
void load_tensors(const std::string& path, B& backend, const ParameterStore<B>& store,
                  const std::vector<TensorGroup<Real>>& groups) {
  TensorFiles files(path);
  files.divide(store.file_layout());
  load_tensors(files, backend, store, groups);
}

}  // namespace neural_attention::io

#if !defined(NEURAL_ATTENTION_COMPILED)
#include "neural_attention/io/impl/load_tensors.hpp"
#endif
