// Gradient checks for modules and losses in double. For random dy, L = Σ dy ∘ f(x) is differentiated numerically along
// every element of x and of every parameter and compared with backward, tensor by tensor: ‖numeric - analytic‖ /
// (‖numeric‖ + ‖analytic‖ + floor) ≤ 1e-6. Gradients hold random numbers beforehand, because backward must add to them.
// Use the backend Poisoned<Cpu<double>>, whose fresh memory is NaN.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "neural_attention/core/name_pattern.hpp"
#include "neural_attention/core/number_text.hpp"
#include "neural_attention/core/parameters.hpp"
#include "neural_attention/core/pass.hpp"
#include "neural_attention/testing/gradient_report.hpp"

namespace neural_attention::testing {

struct GradientOptions {
  std::uint64_t seed = 1;
  double tolerance = 1e-6;
  bool train = true;                   ///< dropouts are on, with the masks of step 3
  bool randomise = true;               ///< give every tensor random values first
  bool overwrite = false;              ///< write into the result before backward, as the caller of a module may
  std::vector<std::string> zero = {};  ///< patterns of tensors whose exact gradient is zero, such as key biases
};

/// Memory of a backend, and a view of it.
template <class B>
struct OwnedRows {
  using Scalar = typename B::Scalar;

  OwnedRows(B& backend, int row_count, int col_count)
      : memory(backend.allocate(static_cast<std::size_t>(row_count) * static_cast<std::size_t>(col_count) *
                                sizeof(Scalar))),
        rows(static_cast<Scalar*>(memory.data()), row_count, col_count) {}
  OwnedRows(B& backend, int row_count, int col_count, const std::vector<Scalar>& host)
      : OwnedRows(backend, row_count, col_count) {
    backend(ops::Upload<B>{.values = host, .x = rows});
  }

  typename B::Memory memory;
  Rows<B> rows;
};

template <class T = double>
std::vector<T> random_normal(std::uint64_t seed, std::uint32_t site, std::ptrdiff_t count, double deviation = 1.0) {
  RandomStream random({seed, 0, site});
  std::vector<T> result(static_cast<std::size_t>(count));
  for (auto& x : result) x = static_cast<T>(deviation * random.normal());
  return result;
}

template <class B>
std::vector<typename B::Scalar> download(B& backend, Rows<B> x) {
  std::vector<typename B::Scalar> host(static_cast<std::size_t>(x.size()));
  backend(ops::Download<B>{.x = x, .values = host});
  return host;
}

/// Random values for every tensor, buffers too: matrices N(0, 1/cols), vectors N(their first value, 1/4).
template <class B>
void randomise(B& backend, ParameterStore<B>& store, std::uint64_t seed) {
  for (const auto& entry : store.entries()) {
    const double centre = entry.initial.kind == Initial::Kind::Constant ? entry.initial.scale : 0.0;
    auto host = random_normal<typename B::Scalar>(seed, name_hash(entry.name), entry.size(),
                                                  entry.rows == 1 ? 0.5 : 1.0 / std::sqrt(double(entry.cols)));
    for (auto& x : host) x += static_cast<typename B::Scalar>(centre);
    backend(ops::UploadOf<typename B::Real>{.values = host, .x = store.value(entry)});
  }
}

/// The results of one forward and backward pass of a module, on the host.
template <class B>
struct ModuleRun {
  std::vector<typename B::Scalar> y, dx;
  std::vector<std::vector<typename B::Real>> gradients;  ///< of the trained tensors, less what was there before
  std::vector<std::string> violations;
};

template <class B>
Pass<B> begin_pass(PassMemory<B>& memory, const GradientOptions& options) {
  return options.train ? memory.begin_training(options.seed, 3) : memory.begin_inference();
}

/// One pass of a module that is bound to `store`, over fresh stacks. `prior` is the content of dx before the adding
/// form of backward; without it, backward allocates dx. If `dy` is empty, only forward runs.
template <class B, class M>
ModuleRun<B> run_module(B& backend, M& module, const ParameterStore<B>& store, Rows<B> x,
                        const std::vector<typename B::Scalar>& dy, const std::vector<typename B::Scalar>& prior,
                        const GradientOptions& options, const auto&... context) {
  ModuleRun<B> run;
  const auto require = [&run](bool held, const char* rule) {
    if (!held) run.violations.emplace_back(rule);
  };
  const auto x_before = download(backend, x);
  PassMemory<B> memory(backend);
  const auto pass = begin_pass(memory, options);
  typename M::Saved saved{};
  const Rows<B> y = std::as_const(module).forward(pass, x, saved, context...);
  require(y.data != x.data, "forward returned its own input");
  run.y = download(backend, y);
  if (dy.empty()) return run;

  std::vector<std::vector<typename B::Real>> poison;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    poison.push_back(random_normal<typename B::Real>(options.seed, name_hash(entry.name) ^ 0x9E37u, entry.size()));
    backend(ops::UploadOf<typename B::Real>{.values = poison.back(), .x = store.gradient(entry)});
  }
  if (options.overwrite)
    backend(ops::Upload<B>{.values = random_normal<typename B::Scalar>(options.seed, 104, y.size()), .x = y});
  const OwnedRows<B> seed_gradient(backend, y.rows, y.cols, dy);
  OwnedRows<B> target(backend, x.rows, x.cols);
  if (!prior.empty()) backend(ops::Upload<B>{.values = prior, .x = target.rows});
  const Rows<B> given = prior.empty() ? Rows<B>{} : target.rows;
  const Rows<B> dx = module.backward(pass, seed_gradient.rows, std::as_const(saved), given, context...);
  require(prior.empty() || dx.data == given.data, "backward did not return the dx that it was given");
  require(dx.rows == x.rows && dx.cols == x.cols, "dx has another shape than x");
  require(download(backend, seed_gradient.rows) == dy, "backward changed dy");
  require(download(backend, x) == x_before, "the input was changed");

  run.dx = download(backend, dx);
  for (std::size_t i = 0; i < prior.size(); ++i) run.dx[i] -= prior[i];
  std::size_t next = 0;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    auto& gradient = run.gradients.emplace_back(static_cast<std::size_t>(entry.size()));
    backend(ops::DownloadOf<typename B::Real>{.x = store.gradient(entry), .values = gradient});
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= poison[next][i];
    ++next;
  }
  return run;
}

namespace detail {

/// The numeric gradient of loss() along every element of one tensor of the backend. `loss` evaluates at the backend's
/// current values.
template <class B, class Loss>
std::pair<std::vector<double>, double> numeric_gradient(B& backend, Rows<B> tensor, double magnitude, Loss&& loss) {
  auto host = download(backend, tensor);
  double squares = 0.0;
  for (const double v : host) squares += v * v;
  const double scale = std::max(std::sqrt(squares / std::max<double>(1.0, double(host.size()))), 0.1);
  std::vector<double> numeric;
  double noise = 0.0;
  for (auto& v : host) {
    const double centre = v;
    const auto derivative = differentiate(
        [&](double moved) {
          v = moved;
          backend(ops::Upload<B>{.values = host, .x = tensor});
          return loss();
        },
        centre, scale, magnitude);
    v = centre;
    numeric.push_back(derivative.value);
    noise += derivative.noise * derivative.noise;
  }
  backend(ops::Upload<B>{.values = host, .x = tensor});
  return {numeric, std::sqrt(noise)};
}

inline bool any_matches(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(), [&](const auto& pattern) { return matches(pattern, name); });
}

}  // namespace detail

/// Checks a module, x [rows, cols]: both forms of backward, dx and every parameter. `context` follows the usual
/// arguments of forward and backward. The check binds the module to a store of its own: bind it again afterwards.
template <class B, class M>
GradientReport check_module(B& backend, M& module, int rows, int cols, const GradientOptions& options = {},
                            const auto&... context) {
  ParameterStore<B> store(backend, module, Purpose::Training);
  if (options.randomise) randomise(backend, store, options.seed);
  OwnedRows<B> x(backend, rows, cols, random_normal(options.seed, 101, std::ptrdiff_t{rows} * cols));
  const auto start = run_module(backend, module, store, x.rows, {}, {}, options, context...);
  const auto dy = random_normal(options.seed, 102, std::ssize(start.y));
  const auto prior = random_normal(options.seed, 103, std::ptrdiff_t{rows} * cols);
  const auto fresh = run_module(backend, module, store, x.rows, dy, {}, options, context...);
  const auto added = run_module(backend, module, store, x.rows, dy, prior, options, context...);
  auto overwriting = options;
  overwriting.overwrite = true;
  const auto overwritten = run_module(backend, module, store, x.rows, dy, {}, overwriting, context...);

  GradientReport report;
  for (const auto* run : {&start, &fresh, &added})
    report.violations.insert(report.violations.end(), run->violations.begin(), run->violations.end());
  if (overwritten.dx != fresh.dx || overwritten.gradients != fresh.gradients)
    report.violations.emplace_back("backward reads the result of forward, into which a caller may write");

  double squares = 0.0;  // the roundings of the outputs are independent
  for (std::size_t i = 0; i < dy.size(); ++i) squares += dy[i] * dy[i] * start.y[i] * start.y[i];
  PassMemory<B> memory(backend);
  std::vector<double> host(dy.size());
  typename M::Saved saved{};
  const auto loss = [&] {
    const auto pass = begin_pass(memory, options);
    backend(ops::Download<B>{.x = std::as_const(module).forward(pass, x.rows, saved, context...), .values = host});
    double sum = 0.0;  // of the change since the start: fewer roundings
    for (std::size_t i = 0; i < dy.size(); ++i) sum += dy[i] * (host[i] - start.y[i]);
    return sum;
  };
  const auto check = [&](const std::string& name, Rows<B> tensor, const auto& once, const auto& again) {
    const auto [numeric, noise] = detail::numeric_gradient(backend, tensor, std::sqrt(squares), loss);
    const bool zero = detail::any_matches(options.zero, name);
    report.tensors.push_back(judge(name, numeric, once, noise, options.tolerance, zero));
    report.tensors.push_back(judge(name + " (adding form)", numeric, again, noise, options.tolerance, zero));
  };
  check("x", x.rows, fresh.dx, added.dx);
  std::size_t next = 0;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    check(entry.name, store.value(entry), fresh.gradients[next], added.gradients[next]);
    ++next;
  }
  return report;
}

/// Checks a scalar loss over the tensors of `store`: `loss(pass)` returns it, `loss_and_gradient(pass)` returns it and
/// adds its gradients to the store's.
template <class B, class Loss, class LossAndGradient>
GradientReport check_loss(B& backend, ParameterStore<B>& store, Loss&& loss, LossAndGradient&& loss_and_gradient,
                          const GradientOptions& options = {}) {
  if (options.randomise) randomise(backend, store, options.seed);
  std::vector<std::vector<typename B::Real>> poison, analytic;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    poison.push_back(random_normal<typename B::Real>(options.seed, name_hash(entry.name) ^ 0x9E37u, entry.size()));
    backend(ops::UploadOf<typename B::Real>{.values = poison.back(), .x = store.gradient(entry)});
  }
  const auto evaluate = [&](PassMemory<B>& memory, auto& function) {
    const auto pass = begin_pass(memory, options);
    return static_cast<double>(function(pass));
  };
  GradientReport report;
  PassMemory<B> memory(backend), poisoned(backend);
  const double at_start = evaluate(memory, loss), with_gradient = evaluate(poisoned, loss_and_gradient);
  if (!(std::abs(at_start - with_gradient) <= 1e-12 * std::abs(at_start)))
    report.violations.push_back("the loss with gradients is " + number_text(with_gradient) + " and without " +
                                number_text(at_start));
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    auto& gradient = analytic.emplace_back(static_cast<std::size_t>(entry.size()));
    backend(ops::DownloadOf<typename B::Real>{.x = store.gradient(entry), .values = gradient});
    for (std::size_t i = 0; i < gradient.size(); ++i) gradient[i] -= poison[analytic.size() - 1][i];
  }
  std::size_t next = 0;
  for (const auto& entry : store.entries()) {
    if (!entry.trained) continue;
    const auto [numeric, noise] = detail::numeric_gradient(backend, store.value(entry), std::abs(at_start),
                                                           [&] { return evaluate(memory, loss); });
    report.tensors.push_back(judge(entry.name, numeric, analytic[next], noise, options.tolerance,
                                   detail::any_matches(options.zero, entry.name)));
    ++next;
  }
  return report;
}

}  // namespace neural_attention::testing
