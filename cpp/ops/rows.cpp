// The rules of lines MAAS_ROWS (graph/passes/rows.h).
#include <algorithm>

#include "graph/axis.h"
#include "ops/match.h"

namespace maas {
namespace {

using Rowed = std::vector<bool>;

// Every rowed operand has as many rows as the result.
bool equal_rows(const Node& y, const Rowed& rowed) {
  for (size_t i = 0; i < rowed.size(); ++i)
    if (rowed[i] && y.input(static_cast<int>(i)).shape()[0] != y.shape()[0]) return false;
  return true;
}

bool is_first(int64_t axis, int64_t rank) { return axis == 0 || axis == -rank; }

}  // namespace

// Operands that are broadcast: what counts rows must meet the rows of the result.
bool broadcast_rows(const Node& y, const Rowed& rowed) {
  for (size_t i = 0; i < rowed.size(); ++i)
    if (rowed[i] && y.input(static_cast<int>(i)).rank() != y.rank()) return false;
  return equal_rows(y, rowed);
}

// Images, sequences, sets of heads: axis 0 is a batch by the op's own definition.
bool batch_rows(const Node& y, const Rowed& rowed) { return rowed[0] && equal_rows(y, rowed); }

// The same with weights, operand 1, that all rows share.
bool weighted_rows(const Node& y, const Rowed& rowed) { return !rowed[1] && batch_rows(y, rowed); }

bool gemm_rows(const Node& y, const Rowed& rowed) {
  return !match::param<bool>(y, "transpose_a") && weighted_rows(y, rowed);
}

// Leading axes are a batch, the last two are not.
bool product_rows(const Node& y, const Rowed& rowed) { return y.rank() > 2 && broadcast_rows(y, rowed); }

bool axis_rows(const Node& y, const Rowed& rowed) {
  return !is_first(match::param<int64_t>(y, "axis"), y.input(0).rank()) && batch_rows(y, rowed);
}

bool axes_rows(const Node& y, const Rowed& rowed) {
  const auto axes = match::param<std::vector<int64_t>>(y, "axis");
  const int64_t rank = y.input(0).rank();
  return !axes.empty() && std::none_of(axes.begin(), axes.end(), [&](int64_t a) { return is_first(a, rank); }) &&
         batch_rows(y, rowed);
}

// Row-major elements of a row stay together, whatever their shape.
bool reshape_rows(const Node&, const Rowed& rowed) { return rowed[0]; }

bool transpose_rows(const Node& y, const Rowed&) { return match::param<std::vector<int64_t>>(y, "axes")[0] == 0; }

bool slice_rows(const Node& y, const Rowed& rowed) {
  return match::param<Shape>(y, "begin")[0].is(0) && match::param<std::vector<int64_t>>(y, "step")[0] == 1 &&
         batch_rows(y, rowed);
}

// Dropout draws for the place of an element in the whole batch.
bool attention_rows(const Node& y, const Rowed& rowed) {
  return match::param<double>(y, "dropout") == 0 && batch_rows(y, rowed);
}

bool take_rows(const Node& y, const Rowed& rowed) {
  if (is_first(match::param<int64_t>(y, "axis"), y.input(0).rank())) return !rowed[0] && equal_rows(y, rowed);
  return weighted_rows(y, rowed);
}

}  // namespace maas
