// What operations say about themselves: names, operands and the access to them, bytes and floating point operations.
// And that a wrapper with one template runs all of them.
#define BOOST_TEST_DYN_LINK
#define BOOST_TEST_MODULE backend_operations
#include <boost/test/unit_test.hpp>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "backend/backends.hpp"
#include "models/perturbed.hpp"
#include "models/stored_bfloat16.hpp"
#include "neural_attention/backend/cuda/cuda.hpp"
#include "neural_attention/core/arena.hpp"
#include "neural_attention/report/profile.hpp"
#include "neural_attention/testing/fenced.hpp"
#include "neural_attention/testing/poisoned.hpp"

using namespace neural_attention;
using namespace cpu_support;

namespace {

static_assert(Backend<Cpu<float>> && Backend<Cpu<double>> && Backend<Cuda<float>> && Backend<Cuda<bfloat16>>);
static_assert(Backend<testing::Fenced<Cpu<float>>> && Backend<testing::Poisoned<Cpu<double>>>);
static_assert(Backend<Perturbed> && Backend<StoredBFloat16>);
static_assert(!Runs<Cpu<float>, ops::AddOf<double>>);

/// Counts what it runs.
template <class Base>
class Counting : public Base {
 public:
  using Base::Base;

  template <ops::OperationOf<typename Base::Scalar> Op>
  ops::ResultOf<Op> operator()(const Op& op) {
    ++calls[std::string(Op::name)];
    bytes += ops::bytes(op);
    flop += ops::flop(op);
    return Base::operator()(op);
  }

  std::map<std::string, int> calls;
  double bytes = 0.0, flop = 0.0;
};
static_assert(Backend<Counting<Cpu<float>>>);

template <class... All>
std::vector<std::string> names(ops::OperationList<All...>) {
  return {std::string(All::name)...};
}

template <class Op>
std::vector<std::string> operands(const Op& op, ops::Access access) {
  std::vector<std::string> found;
  Op::visit(op, [&](std::string_view name, ops::Access its, const auto&) {
    if (its == access) found.emplace_back(name);
  });
  return found;
}

using Names = std::vector<std::string>;

}  // namespace

BOOST_AUTO_TEST_SUITE(operations)

BOOST_AUTO_TEST_CASE(each_has_a_name_of_its_own) {
  const auto all = names(ops::AllOperations<Cpu<float>>());
  BOOST_TEST(std::set(all.begin(), all.end()).size() == all.size());
  BOOST_TEST(all.size() > 30);
}

BOOST_AUTO_TEST_CASE(operands_say_their_access) {
  Matrix<float> x(3, 4), y(3, 5), w(5, 4);
  const ops::Linear<Cpu<float>> forward{.x = x.view(), .w = w.view(), .y = y.view()};
  BOOST_TEST((operands(forward, ops::Access::Read) == Names{"x", "w", "quantized", "bias"}));
  BOOST_TEST((operands(forward, ops::Access::Write) == Names{"y"}));
  ops::LinearInputGradient<Cpu<float>> backward{.dy = y.view(), .w = w.view(), .dx = x.view()};
  BOOST_TEST((operands(backward, ops::Access::Write) == Names{"dx"}));
  backward.into = Into::Add;
  BOOST_TEST((operands(backward, ops::Access::Update) == Names{"dx"}));
}

BOOST_AUTO_TEST_CASE(bytes_count_each_operand_once_and_twice_where_it_is_added_to) {
  Matrix<float> x(3, 4), y(3, 4), table(100, 4);
  const std::vector<int> ids = {5, 5, 7};
  const double matrix = 3 * 4 * sizeof(float);
  BOOST_TEST(ops::bytes(ops::Copy<Cpu<float>>{.x = x.view(), .y = y.view()}) == 2 * matrix);
  BOOST_TEST(ops::bytes(ops::Add<Cpu<float>>{.x = x.view(), .y = y.view()}) == 3 * matrix);
  BOOST_TEST(ops::bytes(ops::Linear<Cpu<float>>{.x = x.view(), .w = table.view(), .y = {nullptr, 3, 100}}) ==
             matrix + 4 * (100 * 4 + 3 * 100));
  // Of a table only the rows that are looked up.
  BOOST_TEST(ops::bytes(ops::Embedding<Cpu<float>>{.ids = ids, .table = table.view(), .y = y.view()}) ==
             2 * matrix + 3 * sizeof(int));
  const QuantizedRows quantized{.rows = 100, .cols = 4};
  BOOST_TEST(ops::bytes(ops::Linear<Cpu<float>>{.x = x.view(), .y = {nullptr, 3, 100}, .quantized = &quantized}) ==
             matrix + 100 * (4 + 8) + 4 * 3 * 100);
  const std::vector<RowsOf<float>> from = {x.view(), x.view()}, to = {y.view(), y.view()};
  BOOST_TEST(ops::bytes(ops::CopyPairs<Cpu<float>>{.x = from, .y = to}) == 4 * matrix);
}

BOOST_AUTO_TEST_CASE(products_say_their_floating_point_operations) {
  const RowsOf<float> x(nullptr, 7, 4), y(nullptr, 7, 5), w(nullptr, 5, 4);
  using B = Cpu<float>;
  BOOST_TEST(ops::flop(ops::Linear<B>{.x = x, .w = w, .y = y}) == 2.0 * 7 * 4 * 5);
  BOOST_TEST(ops::flop(ops::LinearInputGradient<B>{.dy = y, .w = w, .dx = x}) == 2.0 * 7 * 4 * 5);
  BOOST_TEST(ops::flop(ops::LinearWeightGradient<B>{.dy = y, .x = x, .dw = w}) == 2.0 * 7 * 4 * 5);
  BOOST_TEST(ops::flop(ops::Add<B>{.x = x, .y = x}) == 0.0);
  for (const bool causal : {false, true})
    for (const auto& [n, m] : {std::pair{6, 6}, {3, 7}, {7, 3}, {0, 4}}) {
      const std::vector<int> of_queries = {n, 2}, of_keys = {m, 2};
      const Ragged queries(of_queries), keys(of_keys);
      double pairs = causal ? 3.0 : 4.0;  // of the second sequence
      for (int i = 0; i < n; ++i) pairs += causal ? std::min(i + 1, m) : m;
      const RowsOf<float> q(nullptr, n + 2, 8), k(nullptr, m + 2, 8), log_sum_exp(nullptr, n + 2, 2);
      const AttentionShape shape{2, 1.0, causal};
      BOOST_TEST(ops::flop(ops::Attention<B>{.q = q,
                                             .k = k,
                                             .v = k,
                                             .queries = queries,
                                             .keys = keys,
                                             .shape = shape,
                                             .out = q,
                                             .log_sum_exp = log_sum_exp}) == 4.0 * pairs * 8);
      const RowsOf<float> v(nullptr, m + 2, 6), out(nullptr, n + 2, 6);  // narrower
      BOOST_TEST(ops::flop(ops::Attention<B>{.q = q,
                                             .k = k,
                                             .v = v,
                                             .queries = queries,
                                             .keys = keys,
                                             .shape = shape,
                                             .out = out,
                                             .log_sum_exp = log_sum_exp}) == 2.0 * pairs * (8 + 6));
      BOOST_TEST(ops::flop(ops::AttentionBackward<B>{.dout = out,
                                                     .q = q,
                                                     .k = k,
                                                     .v = v,
                                                     .out = out,
                                                     .log_sum_exp = log_sum_exp,
                                                     .queries = queries,
                                                     .keys = keys,
                                                     .shape = shape,
                                                     .dq = q,
                                                     .dk = k,
                                                     .dv = v}) == 2.0 * pairs * (3 * 8 + 2 * 6));
    }
  const std::vector<int> lengths = {3, 4};
  const std::vector<RowsOf<float>> keys(2, {nullptr, 5, 8}), values(2, {nullptr, 5, 6});
  const ops::AttentionRound<B> round{.q = {nullptr, 2, 8},
                                     .keys = keys,
                                     .values = values,
                                     .lengths = lengths,
                                     .shape = {2, 1.0},
                                     .out = {nullptr, 2, 6}};
  BOOST_TEST(ops::flop(round) == 2.0 * 7 * (8 + 6));
  BOOST_TEST(ops::bytes(round) == 4.0 * (2 + 7) * (8 + 6));
}

BOOST_AUTO_TEST_CASE(a_wrapper_with_one_template_runs_them_all) {
  Matrix<float> x(3, 4), y(3, 5), w(5, 4);
  Counting<Cpu<float>> backend(1);
  backend(ops::Fill<Cpu<float>>{.x = x.view(), .value = 2.0f});
  backend(ops::Fill<Cpu<float>>{.x = w.view(), .value = 1.0f});
  backend(ops::Linear<Cpu<float>>{.x = x.view(), .w = w.view(), .y = y.view()});
  BOOST_TEST(y(2, 4) == 8.0f);
  BOOST_TEST(backend(ops::SquaredNorm<Cpu<float>>{.x = y.view()}) == 15 * 64.0);
  BOOST_TEST((backend.calls == std::map<std::string, int>{{"fill", 2}, {"linear", 1}, {"squared_norm", 1}}));
  BOOST_TEST(backend.flop == 2.0 * 3 * 4 * 5);
  BOOST_TEST(backend.bytes == 4.0 * (12 + 20 + (12 + 20 + 15) + 15));
}

BOOST_AUTO_TEST_CASE_TEMPLATE(a_profile_sees_them_on_every_backend, B, Backends) {
  report::Profile profile;
  B backend(1);
  Arena<B> arena(backend);
  const auto x = arena.rows(3, 4), y = arena.rows(3, 5), w = arena.rows(5, 4);
  backend(ops::Fill<B>{.x = x, .value = typename B::Scalar(2.0f)});
  backend(ops::Fill<B>{.x = w, .value = typename B::Scalar(1.0f)});
  backend(ops::Linear<B>{.x = x, .w = w, .y = y});
  typename B::Scalar one(0.0f);
  backend(ops::Download<B>{.x = y.slice(2, 1).columns(4, 1), .values = std::span(&one, 1)});
  BOOST_TEST(float(one) == 8.0f);
  std::map<std::string, report::ProfileRow> rows;
  for (const auto& row : profile.rows()) rows[row.operation] = row;
  BOOST_TEST(rows.size() == 3u);
  BOOST_TEST(rows["fill"].calls == 2);
  BOOST_TEST(rows["linear"].calls == 1);
  BOOST_TEST(rows["linear"].flop == 2.0 * 3 * 4 * 5);
  BOOST_TEST(rows["linear"].bytes == sizeof(typename B::Scalar) * (12.0 + 20 + 15));
  BOOST_TEST(rows["download"].calls == 1);
}

BOOST_AUTO_TEST_SUITE_END()
