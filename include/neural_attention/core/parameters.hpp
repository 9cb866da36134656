// Leaves of a model, the walk that finds and names them, and the store that holds their numbers.
// Every module has one static `visit(self, visitor)` that calls visitor(name, member); leaves are Parameter (trained),
// Buffer (saved, not trained) and RandomSite (a place that draws random numbers). Names join with dots, as in PyTorch.
#pragma once

#include <algorithm>
#include <cmath>
#include <concepts>
#include <cstdint>
#include <iterator>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/file_layout.hpp"
#include "neural_attention/core/observer.hpp"
#include "neural_attention/core/operations.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/core/sizes.hpp"

namespace neural_attention {

/// The purpose of a model: training needs gradients, inference does not.
enum class Purpose { Training, Inference };

/// The distribution of a tensor's initial values: N(0, scale²), uniform in ±scale, the constant scale, or the same row
/// for every row.
struct Initial {
  enum class Kind { Normal, Uniform, Constant, Rows };
  Kind kind = Kind::Constant;
  double scale = 0.0;
  int row = -1;  ///< one that starts at another constant (the embedding of padding at zero), or -1
  double row_value = 0.0;
  std::span<const double> each_row = {};  ///< of Kind::Rows; it outlives the model

  static Initial normal(double deviation) { return {Kind::Normal, deviation}; }
  static Initial constant(double value) { return {Kind::Constant, value}; }
  static Initial rows_of(std::span<const double> row) { return {Kind::Rows, 0.0, -1, 0.0, row}; }
  /// The same with another constant in one row; in none if that is -1.
  Initial with_row(int other, double value) const {
    auto initial = *this;
    initial.row = other;
    initial.row_value = value;
    return initial;
  }
  /// Uniform with variance 2/(in+out): Glorot & Bengio 2010.
  static Initial xavier(int in, int out) { return {Kind::Uniform, std::sqrt(6.0 / (double(in) + out))}; }
};

/// One trained tensor: a matrix [rows, cols] or a vector [cols]. Views into the store, empty before it binds them.
template <class B>
struct Parameter {
  Parameter(int row_count, int col_count, Initial first) : rows(row_count), cols(col_count), initial(first) {}
  Parameter(int length, Initial first) : rows(1), cols(length), vector(true), initial(first) {}

  int rows;
  int cols;
  bool vector = false;
  Initial initial;
  Rows<B> value;                      ///< what modules read
  RowsOf<typename B::Real> master;    ///< what is trained, saved and loaded; the same memory where Scalar is Real
  RowsOf<typename B::Real> gradient;  ///< empty if the store holds no gradients
};

/// A tensor that is saved but not trained.
template <class B>
struct Buffer : Parameter<B> {
  using Parameter<B>::Parameter;
};

/// A place that draws random numbers. Its number is a hash of its name, so every run and backend agrees on it.
struct RandomSite {
  std::uint32_t id = 0;
};

/// FNV-1a.
constexpr std::uint32_t name_hash(std::string_view name) {
  std::uint32_t hash = 2166136261u;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 16777619u;
  return hash;
}

/// The name of a member of the module called `prefix`. Not inlined: a walk has a copy of its code for each type of
/// module.
[[gnu::noinline]] inline std::string member_name(const std::string& prefix, std::string_view name) {
  std::string full = prefix;
  if (!prefix.empty() && !name.empty()) full += '.';
  return full += name;
}

/// Calls leaf(name, member) for every leaf below `module` that `leaf` accepts, in visit order.
template <class Module, class Leaf>
void for_each_leaf(Module& module, Leaf&& leaf, const std::string& prefix = {}) {
  const auto enter = [&](std::string_view name, auto& member) {
    const auto full = member_name(prefix, name);
    using Member = std::remove_cvref_t<decltype(member)>;
    if constexpr (requires { leaf(full, member); }) {
      leaf(full, member);
    } else if constexpr (requires { std::begin(member); }) {
      int index = 0;
      for (auto& element : member) for_each_leaf(element, leaf, member_name(full, std::to_string(index++)));
    } else if constexpr (requires { Member::visit(member, [](std::string_view, auto&) {}); }) {
      for_each_leaf(member, leaf, full);
    }
  };
  std::remove_cvref_t<Module>::visit(module, enter);
}

/// The numbers of a model: one flat aligned buffer of values and one of gradients. Trained tensors come first, in visit
/// order, then buffers; each starts at a multiple of 16 elements and the gaps hold zeros. Where a backend's Scalar is
/// another type than its Real, the values are Real, and a buffer of Scalars is what modules read of them: refresh().
template <class B>
class ParameterStore {
 public:
  using Scalar = typename B::Scalar;
  using Real = typename B::Real;

  struct Entry {
    std::string name;
    int rows;
    int cols;
    bool vector;
    bool trained;
    Initial initial;
    std::ptrdiff_t offset;

    std::ptrdiff_t size() const { return std::ptrdiff_t{rows} * cols; }
  };

  /// Lays out and binds the leaves of `model`. Without `gradients`, the model can only infer. Throws ConfigError if
  /// they are too many.
  template <class Model>
  ParameterStore(B& backend, Model& model, bool gradients) : ParameterStore(outline(model)) {
    allocate(backend, model, gradients);
  }

  /// A store that knows the leaves of `model` but has no memory for them: before allocate(), only entries(), find(),
  /// count() and file_layout() may be called.
  template <class Model>
  static ParameterStore outline(Model& model, const FileLayout& layout = {}) {
    return ParameterStore(leaves_of(model), layout);
  }
  /// Allocates memory for the leaves of `model`, from which outline() made this store.
  template <class Model>
  void allocate(B& backend, Model& model, bool gradients) {
    allocate(backend, leaves_of(model), gradients);
  }

  /// Gives every tensor its first values, made on the host from (seed, name): the same on every backend.
  void initialise(std::uint64_t seed) {
    initialise(seed, [](const Entry&) { return true; });
  }
  /// The same for the tensors that are `chosen`.
  void initialise(std::uint64_t seed, auto&& chosen) {
    const HostWork work("drawing initial values");
    std::vector<Real> host;
    for (const auto& entry : entries_) {
      if (!chosen(entry)) continue;
      RandomStream random({seed, 0, name_hash(entry.name)});
      host.assign(static_cast<std::size_t>(entry.size()), Real(entry.initial.scale));
      if (entry.initial.kind == Initial::Kind::Rows)
        for (std::size_t i = 0; i < host.size(); ++i)
          host[i] = static_cast<Real>(entry.initial.each_row[i % static_cast<std::size_t>(entry.cols)]);
      else if (entry.initial.kind != Initial::Kind::Constant)
        for (auto& x : host) {
          const double draw = entry.initial.kind == Initial::Kind::Normal ? random.normal() : 2 * random.uniform() - 1;
          x = static_cast<Real>(draw * entry.initial.scale);
        }
      if (const int row = entry.initial.row; row >= 0)
        std::fill_n(host.begin() + std::ptrdiff_t{row} * entry.cols, entry.cols, Real(entry.initial.row_value));
      (*backend_)(ops::UploadOf<Real>{.values = host, .x = value(entry)});
    }
    refresh();
  }

  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view name) const {
    for (const auto& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }

  /// How files hold them.
  const FileLayout& file_layout() const { return file_layout_; }

  /// All values; the trained ones; all gradients, none where the model is for inference: [1, n], gaps included.
  RowsOf<Real> values() const {
    if (released_)
      throw ConfigError("the masters of the parameters were released; their rounded copies serve inference alone");
    return values_;
  }
  /// Throws ConfigError if there are no gradients: for code that is about to train.
  void require_gradients() const {
    if (has_gradients_) return;
    throw ConfigError("the model was made for inference and has no gradients: make it with Purpose::Training");
  }
  RowsOf<Real> trained_values() const { return values().columns(0, trained_); }
  RowsOf<Real> gradients() const { return gradients_; }

  RowsOf<Real> value(const Entry& entry) const { return at(values(), entry); }
  RowsOf<Real> gradient(const Entry& entry) const {
    require_gradients();
    return at(gradients_, entry);
  }

  /// Makes changed values visible to modules: for code that changes values, such as optimizers and loaders.
  void refresh() const {
    if constexpr (!std::is_same_v<Scalar, Real>) (*backend_)(ops::Convert<B>{.x = values(), .y = rounded_});
  }

  /// Frees the memory of the values if modules read rounded copies of them; it is two thirds of a model's memory for
  /// inference. Until then the model can be loaded; afterwards values(), value() and refresh() throw ConfigError, and
  /// the master of a Parameter must not be used. Throws ConfigError if there are gradients.
  void release_masters() {
    if (has_gradients_) throw ConfigError("a model that is trained needs its parameters as they are, not only rounded");
    if constexpr (!std::is_same_v<Scalar, Real>) {
      value_memory_ = {};
      values_ = {};
      released_ = true;
    }
  }

  void zero_gradients() {
    require_gradients();
    (*backend_)(ops::FillOf<Real>{.x = gradients_, .value = Real(0)});
  }

  /// Number of trained numbers, gaps not counted.
  std::ptrdiff_t count() const {
    std::ptrdiff_t total = 0;
    for (const auto& entry : entries_) total += entry.trained ? entry.size() : 0;
    return total;
  }

 private:
  template <class T>
  static RowsOf<T> at(RowsOf<T> all, const Entry& entry) {
    return {all.data + entry.offset, entry.rows, entry.cols};
  }

  struct Leaf {
    std::string name;
    Parameter<B>* tensor;
  };

  /// The results of one walk, because more walks would cost every user of a model compile time. Random sites get their
  /// numbers.
  struct Leaves {
    std::vector<Leaf> trained, buffers;
    std::vector<NamedSite> sites;

    void operator()(const std::string& name, Parameter<B>& tensor) { trained.push_back({name, &tensor}); }
    void operator()(const std::string& name, Buffer<B>& tensor) { buffers.push_back({name, &tensor}); }
    void operator()(const std::string& name, RandomSite& site) {
      site.id = name_hash(name);
      sites.push_back({name, site.id});
    }
  };

  template <class Model>
  static Leaves leaves_of(Model& model) {
    Leaves leaves;
    for_each_leaf(model, leaves);
    return leaves;
  }

  ParameterStore(const Leaves& leaves, const FileLayout& layout) : file_layout_(layout) {
    trained_ = lay_out(leaves.trained, true);
    size_ = lay_out(leaves.buffers, false);
  }

  void allocate(B& backend, const Leaves& leaves, bool gradients) {
    backend_ = &backend;
    has_gradients_ = gradients;
    value_memory_ = backend.allocate(static_cast<std::size_t>(size_) * sizeof(Real));
    values_ = {static_cast<Real*>(value_memory_.data()), 1, size_};
    backend(ops::FillOf<Real>{.x = values_, .value = Real(0)});
    if constexpr (std::is_same_v<Scalar, Real>) {
      rounded_ = values_;
    } else {
      rounded_memory_ = backend.allocate(static_cast<std::size_t>(size_) * sizeof(Scalar));
      rounded_ = {static_cast<Scalar*>(rounded_memory_.data()), 1, size_};
      refresh();
    }
    if (gradients) {
      gradient_memory_ = backend.allocate(static_cast<std::size_t>(trained_) * sizeof(Real));
      gradients_ = {static_cast<Real*>(gradient_memory_.data()), 1, trained_};
      zero_gradients();
    }
    auto entry = entries_.cbegin();
    for (const auto* const group : {&leaves.trained, &leaves.buffers})
      for (const auto& leaf : *group) bind(*leaf.tensor, *entry++);
    if (auto* const observer = active_observer()) name_memory(*observer, leaves.sites);
  }

  /// Without gradients nothing is said of masters apart from the rounded copies: their memory may be given back.
  void name_memory(OperationObserver& observer, std::span<const NamedSite> sites) {
    using Holds = NamedMemory::Holds;
    std::vector<NamedMemory> tensors;
    for (const auto& entry : entries_) {
      tensors.push_back({entry.name, range_of(at(rounded_, entry)), Holds::Values});
      if (!has_gradients_) continue;
      if constexpr (!std::is_same_v<Scalar, Real>)
        tensors.push_back({entry.name, range_of(value(entry)), Holds::Values});
      if (entry.trained) tensors.push_back({entry.name, range_of(gradient(entry)), Holds::Gradients});
    }
    named_ = observer.know(tensors, sites);
  }

  /// Returns how many numbers are laid out.
  int lay_out(const std::vector<Leaf>& leaves, bool trained) {
    for (const auto& [name, tensor] : leaves) {
      entries_.push_back({name, tensor->rows, tensor->cols, tensor->vector, trained, tensor->initial, laid_out_});
      laid_out_ = sizes::sum(laid_out_, sizes::sum(entries_.back().size(), 15)) / 16 * 16;
    }
    if (laid_out_ <= sizes::most) return static_cast<int>(laid_out_);
    const auto largest = std::ranges::max_element(entries_, {}, &Entry::size);
    return sizes::checked("a model whose largest parameter is " + largest->name + " [" + std::to_string(largest->rows) +
                              ", " + std::to_string(largest->cols) + "]",
                          laid_out_, "numbers", sizeof(Real));
  }

  void bind(Parameter<B>& tensor, const Entry& entry) const {
    tensor.value = at(rounded_, entry);
    tensor.master = value(entry);
    if (entry.trained && gradients_) tensor.gradient = gradient(entry);
  }

  B* backend_ = nullptr;
  FileLayout file_layout_;
  bool has_gradients_ = false;
  std::vector<Entry> entries_;
  std::int64_t laid_out_ = 0;
  int size_ = 0;     ///< of the values, gaps included
  int trained_ = 0;  ///< of the trained ones
  typename B::Memory value_memory_;
  typename B::Memory rounded_memory_;  ///< none where Scalar is Real
  typename B::Memory gradient_memory_;
  RowsOf<Real> values_;
  Rows<B> rounded_;
  RowsOf<Real> gradients_;
  bool released_ = false;
  std::shared_ptr<void> named_;  ///< what an observer was told
};

}  // namespace neural_attention
