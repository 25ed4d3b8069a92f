#pragma once
// shape_of: y[i] = sizes[i], i < rank <= 8. One unit.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct ShapeOfArgs {
  static constexpr int max_rank = 8;
  int32_t* y;
  int rank;
  int32_t sizes[max_rank];
};

}  // namespace maas
