#pragma once
#include <vector>

#include "graph/op.h"
#include "runtime/program.h"

namespace maas {

// Runs one op on arrays: a cached Program of one node, keyed by the op and what the arrays are.
std::vector<Array> run_eager(const OpPtr& op, const std::vector<Array>& inputs, const RunOptions& options = {});
// Forgets the cache.
void clear_eager();

}  // namespace maas
