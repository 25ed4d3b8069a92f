#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "graph/graph.h"

// Programs whose rows do not know of each other, so that they may run a few rows at a time. A value is rowed where its
// axis 0, and no other, counts rows of the batch, or a fixed number of elements for each of them.
namespace maas::passes {

// Whether row i of every output depends on row i of the rowed operands, and on the others as a whole. Lines MAAS_ROWS
// of ops.inc name the functions; an op without one mixes rows.
using RowsRule = bool (*)(const Node& y, const std::vector<bool>& rowed);
RowsRule rows_rule(const std::string& op);  // null if there is none

// The symbol that counts rows, if every result of the graph is rowed, no node mixes rows, and no guard is about them.
std::optional<int64_t> row_symbol(const Graph& graph, const std::vector<Guard>& guards);

}  // namespace maas::passes
