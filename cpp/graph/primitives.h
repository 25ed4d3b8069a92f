#pragma once
#include "graph/chain.h"
#include "graph/node.h"

namespace maas {

// The few ops that gradients, passes and plans themselves need; ops/ provides them.
Node add(const Node& a, const Node& b);
Node broadcast_to(const Node& x, const Shape& shape);
Node cast(const Node& x, DType dtype);
Node reshape(const Node& x, const Shape& shape);
Node copy(const Node& x);  // the same values, dense
Node chain(const Chain& chain, Nodes inputs, DType dtype);

}  // namespace maas
