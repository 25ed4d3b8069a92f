// An operand of a product whose last two axes are swapped is read as it lies: kernels take either order, so no bit
// changes and nothing is copied. Of many matrices at once the first operand stays: panels want its rows.
#include <numeric>

#include "core/error.h"
#include "ops/build.h"
#include "ops/match.h"
#include "ops/shape/axes.h"

namespace maas {

Graph simplify_products(const Graph& graph) {
  if (!match::has(graph, {"transpose"})) return graph;
  auto swaps_last = [](const Node& n) {
    const auto axes = transposed_axes(n);
    if (!axes || axes->size() < 2) return false;
    std::vector<int64_t> swapped(axes->size());
    std::iota(swapped.begin(), swapped.end(), 0);
    std::swap(swapped.end()[-1], swapped.end()[-2]);
    return *axes == swapped;
  };
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (!match::is(old, "matmul")) return {};
    bool flags[2] = {match::param<bool>(old, "transpose_a"), match::param<bool>(old, "transpose_b")};
    Nodes operands = inputs;
    bool changed = false;
    for (size_t i = 0; i < 2; ++i)
      if (swaps_last(operands[i]) && (i == 1 || old.input(0).rank() == 2)) {
        operands[i] = operands[i].input(0);
        flags[i] = !flags[i];
        changed = true;
      }
    if (!changed) return {};
    return {matmul(operands[0], operands[1], flags[0], flags[1])};
  });
}

}  // namespace maas
