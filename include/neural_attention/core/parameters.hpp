// ParameterStore: the numbers of a model's leaves (core/parameter.hpp).
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
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
#include "neural_attention/core/parameter.hpp"
#include "neural_attention/core/quantized_tensor.hpp"
#include "neural_attention/core/random.hpp"
#include "neural_attention/core/sizes.hpp"
#include "neural_attention/core/weights_version.hpp"

namespace neural_attention {

/// The numbers of a model: one flat aligned buffer of values and one of gradients. Trained tensors come first, in visit
/// order, then buffers; each starts at a multiple of 16 elements and the gaps hold zeros. Where a backend's Scalar is
/// another type than its Real, the values are Real, and modules read a buffer of Scalars: refresh().
/// For Int8Inference, matrices whose modules say so (`quantizable`) are integers instead and lie elsewhere.
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
    bool quantizable;
    std::ptrdiff_t offset;
    QuantizedTensor* quantized = nullptr;  ///< if it is held as integers, in the place of values

    std::ptrdiff_t size() const { return std::ptrdiff_t{rows} * cols; }
  };

  /// Lays out and binds the leaves of `model`. Throws ConfigError if they are too many, and for Int8Inference on a
  /// backend without it.
  template <class Model>
  ParameterStore(B& backend, Model& model, Purpose purpose) : ParameterStore(outline(model)) {
    allocate(backend, model, purpose);
  }

  /// A store that knows the leaves of `model` but has no memory for them: before allocate(), only entries(), find(),
  /// count() and file_layout() may be called.
  template <class Model>
  static ParameterStore outline(Model& model, const FileLayout& layout = {}) {
    return ParameterStore(leaves_of(model), layout);
  }
  /// Allocates memory for the leaves of `model`, from which outline() made this store. Throws ConfigError for
  /// Int8Inference on a backend without it.
  template <class Model>
  void allocate(B& backend, Model& model, Purpose purpose) {
    allocate(backend, leaves_of(model), purpose);
  }

  /// Gives every tensor its first values, made on the host from (seed, name): the same on every backend.
  void initialise(std::uint64_t seed) {
    initialise(seed, [](const Entry&) { return true; });
  }
  /// The same for the tensors that are `chosen`.
  void initialise(std::uint64_t seed, auto&& chosen) {
    const HostWork work("drawing initial values");
    std::vector<Real> host;
    bool any = false;
    for (const auto& entry : entries_) {
      if (!chosen(entry)) continue;
      any = true;
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
      if (entry.quantized)
        quantize(entry, [&](int row, int count, float* values) {
          std::copy_n(host.begin() + std::ptrdiff_t{row} * entry.cols, std::ptrdiff_t{count} * entry.cols, values);
        });
      else
        (*backend_)(ops::UploadOf<Real>{.values = host, .x = value(entry)});
    }
    if (any) refresh();
  }

  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* find(std::string_view name) const {
    for (const auto& entry : entries_)
      if (entry.name == name) return &entry;
    return nullptr;
  }

  /// How files hold them.
  const FileLayout& file_layout() const { return file_layout_; }

  /// Whether matrices are held as integers of eight bits.
  bool holds_int8() const { return purpose_ == Purpose::Int8Inference; }

  /// Memory that holds the values, in bytes: of floats, of rounded copies, of integers and their scales, also in a
  /// mapped file. Gradients do not count.
  std::int64_t value_bytes() const {
    std::int64_t bytes = released_ ? 0 : std::int64_t{size_} * std::int64_t{sizeof(Real)};
    if constexpr (!std::is_same_v<Scalar, Real>) bytes += std::int64_t{size_} * std::int64_t{sizeof(Scalar)};
    for (const auto& tensor : quantized_) bytes += tensor->bytes();
    return bytes;
  }

  /// Rounds a matrix that is held as integers: read(row, count, values) writes rows row … row + count - 1 to `values`,
  /// as floats. Throws NumericError if a number is not finite.
  void quantize(const Entry& entry, auto&& read) {
    const auto cols = static_cast<std::size_t>(entry.cols);
    const int step = std::max(1, (1 << 18) / std::max(1, entry.cols));
    std::vector<float> rows, scales;
    auto memory = int8_memory_.lock();
    if (!memory)
      memory = std::make_shared<typename B::Memory>(backend_->allocate(static_cast<std::size_t>(int8_laid_out_)));
    int8_memory_ = memory;
    auto* const integers = static_cast<std::int8_t*>(memory->data()) + entry.offset;
    for (int row = 0; row < entry.rows; row += step) {
      const int count = std::min(step, entry.rows - row);
      rows.resize(static_cast<std::size_t>(count) * cols);
      read(row, count, rows.data());
      for (int r = 0; r < count; ++r) {
        const std::span one(rows.data() + static_cast<std::size_t>(r) * cols, cols);
        scales.push_back(int8::quantize(one, integers + std::ptrdiff_t{row + r} * entry.cols));
        if (!std::isfinite(scales.back()))
          throw NumericError("row " + std::to_string(row + r) + " of " + entry.name +
                             " has a number that is not finite, so it has no scale for int8");
      }
    }
    hold(entry, integers, std::move(memory), std::move(scales));
  }

  /// Takes integers where they lie: see QuantizedTensor.
  void hold(const Entry& entry, const std::int8_t* integers, std::shared_ptr<const void> keeper,
            std::vector<float> scales) {
    entry.quantized->hold(integers, std::move(keeper), std::move(scales));
    if (auto* const observer = active_observer()) {
      const NamedMemory memory{entry.name, range_of(entry.quantized->view()), NamedMemory::Holds::Values};
      int8_named_.push_back(observer->know({&memory, 1}, {}));
    }
  }

  /// All values; the trained ones; all gradients, none if the model is for inference: [1, n], gaps included.
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
  RowsOf<Real> gradients() const { return gradients_; }

  /// Throws ConfigError for a matrix that is held as integers.
  RowsOf<Real> value(const Entry& entry) const {
    if (entry.quantized) throw ConfigError(entry.name + " is held as int8 and has no float values");
    return at(values(), entry);
  }
  RowsOf<Real> gradient(const Entry& entry) const {
    require_gradients();
    return at(gradients_, entry);
  }

  /// Makes changed values visible to modules and backends, which may have copies: for all code that changes values,
  /// such as optimizers and loaders.
  void refresh() const {
    version_ = next_weights_version();
    if constexpr (!std::is_same_v<Scalar, Real>) (*backend_)(ops::Convert<B>{.x = values(), .y = rounded_});
  }

  /// What modules read now: another version after each refresh().
  WeightsVersion version() const { return {version_, rounded_.data, rounded_.data + rounded_.size()}; }

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

  ParameterStore(const Leaves& leaves, const FileLayout& layout) : file_layout_(layout) { lay_out(leaves); }

  void allocate(B& backend, const Leaves& leaves, Purpose purpose) {
    backend_ = &backend;
    purpose_ = purpose;
    version_ = next_weights_version();
    const bool gradients = has_gradients_ = purpose == Purpose::Training;
    if (holds_int8()) {
      if (!HoldsInt8<B>) throw ConfigError("weights of int8 need the backend Cpu<float>: a CPU, in float32");
      lay_out(leaves);
    }
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
      if (entry.quantized) continue;  // told when it has integers
      tensors.push_back({entry.name, range_of(at(rounded_, entry)), Holds::Values});
      if (!has_gradients_) continue;
      if constexpr (!std::is_same_v<Scalar, Real>)
        tensors.push_back({entry.name, range_of(value(entry)), Holds::Values});
      if (entry.trained) tensors.push_back({entry.name, range_of(gradient(entry)), Holds::Gradients});
    }
    named_ = observer.know(tensors, sites);
  }

  void lay_out(const Leaves& leaves) {
    entries_.clear();
    laid_out_ = 0;
    trained_ = lay_out(leaves.trained, true);
    size_ = lay_out(leaves.buffers, false);
  }
  /// Returns how many numbers are laid out.
  int lay_out(const std::vector<Leaf>& leaves, bool trained) {
    constexpr std::ptrdiff_t line = 64;
    for (const auto& [name, tensor] : leaves) {
      entries_.push_back(
          {name, tensor->rows, tensor->cols, tensor->vector, trained, tensor->initial, tensor->quantizable, laid_out_});
      auto& entry = entries_.back();
      if (holds_int8() && entry.quantizable && entry.cols <= int8::most_cols) {
        entry.quantized = quantized_.emplace_back(std::make_unique<QuantizedTensor>(entry.rows, entry.cols)).get();
        entry.offset = int8_laid_out_;
        int8_laid_out_ += (entry.size() + line - 1) / line * line;
        continue;
      }
      laid_out_ = sizes::sum(laid_out_, sizes::sum(entry.size(), 15)) / 16 * 16;
    }
    if (laid_out_ <= sizes::most) return static_cast<int>(laid_out_);
    const auto largest = std::ranges::max_element(entries_, {}, &Entry::size);
    return sizes::checked("a model whose largest parameter is " + largest->name + " [" + std::to_string(largest->rows) +
                              ", " + std::to_string(largest->cols) + "]",
                          laid_out_, "numbers", sizeof(Real));
  }

  void bind(Parameter<B>& tensor, const Entry& entry) const {
    if (entry.quantized) {
      tensor.quantized = &entry.quantized->view();
      return;
    }
    tensor.value = at(rounded_, entry);
    tensor.master = value(entry);
    if (entry.trained && gradients_) tensor.gradient = gradient(entry);
  }

  B* backend_ = nullptr;
  FileLayout file_layout_;
  Purpose purpose_ = Purpose::Inference;
  bool has_gradients_ = false;
  std::vector<Entry> entries_;
  std::int64_t laid_out_ = 0, int8_laid_out_ = 0;
  std::vector<std::unique_ptr<QuantizedTensor>> quantized_;
  int size_ = 0;     ///< of the values, gaps included
  int trained_ = 0;  ///< of the trained ones
  typename B::Memory value_memory_;
  typename B::Memory rounded_memory_;  ///< none if Scalar is Real
  typename B::Memory gradient_memory_;
  std::weak_ptr<typename B::Memory> int8_memory_;  ///< kept by the tensors whose integers are in it
  RowsOf<Real> values_;
  Rows<B> rounded_;
  RowsOf<Real> gradients_;
  bool released_ = false;
  mutable std::uint64_t version_ = 0;
  std::shared_ptr<void> named_;  ///< what an observer was told
  std::vector<std::shared_ptr<void>> int8_named_;
};

}  // namespace neural_attention
