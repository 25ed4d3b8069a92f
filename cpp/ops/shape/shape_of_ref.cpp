#include "ops/shape/shape_of_kernels.h"

namespace maas {

void shape_of_ref(const ShapeOfArgs& a, int64_t begin, int64_t end, const Exec&) {
  if (begin < end)
    for (int i = 0; i < a.rank; ++i) a.y[i] = a.sizes[i];
}

}  // namespace maas
