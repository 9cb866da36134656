// A module with the weights of a golden file, on any backend, against the values there.
#pragma once

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <string>
#include <vector>

#include "golden_file.hpp"
#include "neural_attention/testing/check_gradients.hpp"

namespace golden {

/// The largest error of y, dx and the gradients of all parameters, as difference() measures it. The file has them under
/// `name`; x and dx may be joined from several of its tensors.
template <class Backend, class M>
double module_error(Backend& backend, File& goldens, const std::string& name, M module, const std::vector<double>& x,
                    const std::vector<double>& dx, const auto&... context) {
  namespace na = neural_attention;
  using Scalar = typename Backend::Scalar;
  using Real = typename Backend::Real;
  const auto as_scalars = [](const std::vector<double>& values) {
    return std::vector<Scalar>(values.begin(), values.end());
  };
  na::ParameterStore<Backend> store(backend, module, na::Purpose::Training);
  for (const auto& entry : store.entries()) {
    const auto values = goldens.read<double>(name + "." + entry.name);
    backend(
        na::ops::UploadOf<Real>{.values = std::vector<Real>(values.begin(), values.end()), .x = store.value(entry)});
  }
  const auto width = static_cast<int>(goldens.shape(name + ".x").back());
  const na::testing::OwnedRows<Backend> rows(backend, static_cast<int>(std::ssize(x)) / width, width, as_scalars(x));
  const auto run =
      na::testing::run_module(backend, module, store, rows.rows, as_scalars(goldens.read<double>(name + ".dy")), {},
                              na::testing::GradientOptions{}, context...);
  BOOST_TEST(run.violations.empty());
  double error = std::max(difference(run.y, goldens.read<double>(name + ".y")), difference(run.dx, dx));
  std::size_t i = 0;
  for (const auto& entry : store.entries())
    error = std::max(error, difference(run.gradients[i++], goldens.read<double>(name + ".d" + entry.name)));
  BOOST_TEST(i == run.gradients.size());
  return error;
}

}  // namespace golden
