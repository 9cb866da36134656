// The observer of all operations of a process: a profiler, usually none. Without one, an operation costs one more
// branch, which the processor predicts. Modules do not know the observer: an operation tells its name and the addresses
// of its operands, and a ParameterStore tells the addresses of its tensors.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "neural_attention/core/errors.hpp"
#include "neural_attention/core/operations/operation.hpp"

namespace neural_attention {

/// Addresses from the first number of a matrix to just after its last one. They are compared, never read.
struct MemoryRange {
  const std::byte* first = nullptr;
  const std::byte* last = nullptr;
};

template <class T>
MemoryRange range_of(RowsOf<T> x) {
  if (x.size() == 0) return {};
  return {reinterpret_cast<const std::byte*>(x.data), reinterpret_cast<const std::byte*>(x.row(x.rows - 1) + x.cols)};
}

inline MemoryRange range_of(const QuantizedRows& x) {
  return {reinterpret_cast<const std::byte*>(x.data), reinterpret_cast<const std::byte*>(x.data + x.size())};
}

/// The facts that an observer gets about a finished operation.
struct OperationFacts {
  struct Operand {
    ops::Access access;
    MemoryRange memory;
  };

  std::string_view name;  ///< lives as long as the program
  double flop = 0.0;
  double bytes = 0.0;
  std::uint32_t site = 0;                  ///< the RandomSite that it draws from; 0: none
  std::span<const Operand> operands = {};  ///< its matrices; of many at once the first
};

/// A tensor of a model in memory of a backend.
struct NamedMemory {
  enum class Holds { Values, Gradients };
  std::string_view name;
  MemoryRange memory;
  Holds holds;
};

/// A RandomSite of a model.
struct NamedSite {
  std::string name;
  std::uint32_t id;
};

class OperationObserver {
 public:
  virtual ~OperationObserver() = default;

  /// Nanoseconds, of a clock that never goes back.
  virtual std::int64_t now() const = 0;

  /// An operation ran in this thread. Backends that only start their operations have waited for it.
  virtual void ran(const OperationFacts& facts, std::int64_t begin, std::int64_t end) = 0;
  /// Work of the host begins and ends in this thread; it nests. `work` lives as long as the program.
  virtual void enter(std::string_view work) = 0;
  virtual void leave() noexcept = 0;
  /// A model's tensors and sites have these names, until the result goes.
  virtual std::shared_ptr<void> know(std::span<const NamedMemory> tensors, std::span<const NamedSite> sites) = 0;
};

namespace detail {

inline std::atomic<OperationObserver*> watching{nullptr};

}  // namespace detail

/// Usually null.
inline OperationObserver* active_observer() { return detail::watching.load(std::memory_order_acquire); }

/// Makes `observer` the active one for its own lifetime. No operation may run during construction and destruction.
/// Throws ConfigError if another observer is active.
class Observation {
 public:
  explicit Observation(OperationObserver& observer) {
    OperationObserver* none = nullptr;
    if (!detail::watching.compare_exchange_strong(none, &observer))
      throw ConfigError("the operations of this process are being profiled already");
  }
  Observation(const Observation&) = delete;
  Observation& operator=(const Observation&) = delete;
  ~Observation() { detail::watching.store(nullptr); }
};

/// Reports work of the host, from here to the end of the scope, to the observer. `work` is a literal.
class HostWork {
 public:
  explicit HostWork(std::string_view work) : observer_(active_observer()) {
    if (observer_) observer_->enter(work);
  }
  HostWork(const HostWork&) = delete;
  HostWork& operator=(const HostWork&) = delete;
  ~HostWork() {
    if (observer_) observer_->leave();
  }

 private:
  OperationObserver* observer_;
};

namespace detail {

/// Collects the matrices that an operation's visit names.
class Operands {
 public:
  template <class T>
  void operator()(std::string_view, ops::Access access, const RowsOf<T>& x) {
    if (x.size() > 0 && count_ < all_.size()) all_[count_++] = {access, range_of(x)};
  }
  template <class T>
  void operator()(std::string_view name, ops::Access access, std::span<const RowsOf<T>> matrices) {
    if (!matrices.empty()) (*this)(name, access, matrices.front());
  }
  void operator()(std::string_view, ops::Access access, const QuantizedRows* x) {
    if (x && count_ < all_.size()) all_[count_++] = {access, range_of(*x)};
  }
  void operator()(std::string_view, ops::Access, const auto&) {}  // numbers of the host

  std::span<const OperationFacts::Operand> all() const { return {all_.data(), count_}; }

 private:
  std::array<OperationFacts::Operand, 16> all_;
  std::size_t count_ = 0;
};

template <class Op>
[[gnu::noinline]] void tell(OperationObserver& observer, const Op& op, std::int64_t begin) {
  const auto end = observer.now();
  Operands operands;
  Op::visit(op, operands);
  OperationFacts facts{.name = Op::name, .flop = ops::flop(op), .bytes = ops::bytes(op), .operands = operands.all()};
  if constexpr (requires { op.mask.key.site; }) facts.site = op.mask.key.site;
  if constexpr (requires { op.site; }) facts.site = op.site;
  observer.ran(facts, begin, end);
}

}  // namespace detail

/// Calls run(), which computes `op`, and reports it to the observer. wait() returns when all its work is done.
template <class Op, class Run, class Wait>
ops::ResultOf<Op> observed(const Op& op, Run&& run, Wait&& wait) {
  auto* const observer = active_observer();
  if (!observer) [[likely]]
    return run();
  const auto begin = observer->now();
  if constexpr (std::is_void_v<ops::ResultOf<Op>>) {
    run();
    wait();
    detail::tell(*observer, op, begin);
  } else {
    auto result = run();
    wait();
    detail::tell(*observer, op, begin);
    return result;
  }
}

}  // namespace neural_attention
