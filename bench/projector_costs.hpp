// The table of docs/projectors.md that says what each projector costs. All but its last column follows from the types;
// projector_steps.cpp measures the last, and the test docs.projectors_page compares the others with the page.
#pragma once

#include <cstdint>
#include <map>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "neural_attention/attention/choice.hpp"
#include "neural_attention/backend/cpu/cpu.hpp"
#include "neural_attention/core/with_commas.hpp"

namespace bench {

/// Of a projector that maps a width to itself.
struct ProjectorCost {
  std::string name;
  int hidden = 0;  ///< the columns of its usual hidden width; 0 where it has none
  std::int64_t parameters = 0;
  std::int64_t multiply_adds = 0;  ///< of its products for one token
};

/// Of all projectors that programs offer.
inline std::vector<ProjectorCost> projector_costs(int width) {
  namespace na = neural_attention;
  using B = na::Cpu<float>;
  std::vector<ProjectorCost> costs;
  na::AnyProjector<B>::for_each_type([&]<class P>() {
    na::ProjectorConfig config{.d_in = width, .d_out = width};
    config = na::with_hidden_width<P>(config);
    P projector(config);
    ProjectorCost cost{std::string(na::ProjectorName<P>::value)};
    na::for_each_leaf(projector, [&](const std::string&, na::Parameter<B>& tensor) {
      cost.parameters += std::int64_t{tensor.rows} * tensor.cols;
    });
    cost.multiply_adds = na::matrix_elements<P>(config);
    cost.hidden = config.hidden_columns();
    config.hidden = na::HiddenWidth::columns(cost.hidden + 1);
    if (na::matrix_elements<P>(config) == cost.multiply_adds) cost.hidden = 0;
    costs.push_back(cost);
  });
  return costs;
}

/// The last column: what was measured, by the name of the projector.
using MeasuredSteps = std::map<std::string, std::string>;

namespace costs_detail {

inline constexpr std::string_view header =
    "| projector | hidden width | parameters | multiply-adds a token | training step |\n|---|---|---|---|---|\n";

/// Where the table begins in the page and how long it is. Throws where the page has none.
inline std::pair<std::size_t, std::size_t> place_of(const std::string& page) {
  const auto begin = page.find(header);
  if (begin == std::string::npos) throw std::runtime_error("the page has no table of the costs of projectors");
  const auto end = page.find("\n\n", begin + header.size() - 1);
  return {begin, (end == std::string::npos ? page.size() : end + 1) - begin};
}

}  // namespace costs_detail

inline std::string costs_table(const std::vector<ProjectorCost>& costs, const MeasuredSteps& steps) {
  using neural_attention::with_commas;
  std::string text(costs_detail::header);
  for (const auto& cost : costs) {
    const auto step = steps.find(cost.name);
    text += "| `" + cost.name + "` | " + (cost.hidden ? with_commas(cost.hidden) : "") + " | " +
            with_commas(cost.parameters) + " | " + with_commas(cost.multiply_adds) + " | " +
            (step == steps.end() ? "" : step->second) + " |\n";
  }
  return text;
}

/// The last column as the page has it.
inline MeasuredSteps measured_steps(const std::string& page) {
  const auto [begin, length] = costs_detail::place_of(page);
  std::istringstream rows(page.substr(begin + costs_detail::header.size(), length - costs_detail::header.size()));
  MeasuredSteps steps;
  for (std::string row; std::getline(rows, row);) {
    const auto name_end = row.find("` |"), last = row.rfind("| ", row.size() - 2);
    if (!row.starts_with("| `") || name_end == std::string::npos || !row.ends_with(" |")) continue;
    const auto step = row.substr(last + 2, row.size() - last - 4);
    if (step.find_first_not_of(' ') != std::string::npos) steps[row.substr(3, name_end - 3)] = step;
  }
  return steps;
}

inline std::string with_table(std::string page, const std::string& table) {
  const auto [begin, length] = costs_detail::place_of(page);
  return page.replace(begin, length, table);
}

}  // namespace bench
