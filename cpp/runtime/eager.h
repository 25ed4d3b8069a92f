#pragma once
#include <vector>

#include "graph/op.h"
#include "runtime/program.h"

namespace maas {

// One op on such arrays as a Program of one node: made once, then found by the op and what the arrays are.
std::shared_ptr<Program> eager_program(const OpPtr& op, const std::vector<Array>& inputs, bool all_outputs = false);
// Forgets the cache.
void clear_eager();
struct EagerStats {
  size_t programs;
  int64_t bytes;  // kept by them between runs
};
EagerStats eager_stats();

}  // namespace maas
