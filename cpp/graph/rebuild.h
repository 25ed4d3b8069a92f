#pragma once
#include <functional>
#include <unordered_map>

#include "graph/node.h"

namespace maas {

// What stands for a value where a walk up from results ends; an empty Node: the walk goes on through it.
using RebuildEnd = std::function<Node(const Node& value)>;
// The new outputs of an old node with these new inputs; none: the node is kept, with the new inputs where they differ.
using RebuildNode = std::function<Nodes(const Node& old, const Nodes& inputs)>;

// The new outputs of every old node that a walk met.
using RebuiltNodes = std::unordered_map<const NodeData*, Nodes>;

// The roots made anew, node by node, inputs first. A node none of whose inputs changed stays what it is, unless `make`
// says otherwise; leaves and empty roots stay. Iterative. `end` and `make` may be empty;
// `all`, if not null, is filled.
Nodes rebuild(const Nodes& roots, const RebuildEnd& end, const RebuildNode& make = {}, RebuiltNodes* all = nullptr);

// Output 0 of the same node with other inputs, or of itself where they are the same.
Node with_inputs(const Node& old, Nodes inputs);
Nodes all_outputs(const Node& node);

}  // namespace maas
