#pragma once
#include <optional>
#include <vector>

#include "graph/node.h"

namespace maas {

// The axes of n's input in n's order, each in [0, rank), if n is a transpose.
std::optional<std::vector<int64_t>> transposed_axes(const Node& n);
// Whether the order of the axes that are not of size 1 stays: then it is a reshape.
bool moves_ones_only(const std::vector<int64_t>& axes, const Shape& shape);

}  // namespace maas
