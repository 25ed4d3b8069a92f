#pragma once
#include <optional>
#include <string>
#include <vector>

#include "graph/node.h"

// What the layout pass asks the families. A value v "in the order p" is kept as u with v = transpose(u, p): axis i of v
// is axis p[i] of u. An empty order: the value as it is.
namespace maas::passes {

using Axes = std::vector<int64_t>;

// A node that works on its operands in other orders: the op then, the orders of all operands, that of output 0, and
// those of further outputs; where the list ends they are as they were.
struct Reordered {
  OpPtr op;
  std::vector<Axes> inputs;
  Axes output;
  std::vector<Axes> further = {};
};
// The order of what is left of a value in the order p without these of its axes.
Axes order_without(const Axes& p, const Axes& axes);
// The node with its first operand in the order p, or none. Lines MAAS_AXES(op) of ops.inc name the functions.
using AxesRule = std::optional<Reordered> (*)(const Node& y, const Axes& p);
AxesRule axes_rule(const std::string& op);  // null if there is none

// The order in which the node sees its input, if it is a transpose.
std::optional<Axes> order_of(const Node& n);
Node in_order(const Node& x, const Axes& axes);  // a transpose, or a reshape where only axes of size 1 move

}  // namespace maas::passes
