#include "ops/shape/shape_of.h"

#include <algorithm>
#include <limits>

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/shape/shape_of_kernels.inc"
#define MAAS_KERNEL_ARGS ShapeOfArgs
#define MAAS_KERNEL_TABLE shape_of_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(shape_of, ShapeOf)
const KernelTable& ShapeOf::kernels() { return shape_of_kernels; }

Specs ShapeOf::infer(const Inputs& in) const {
  check(in.size() == 1, "shape_of: one operand is needed, received ", in.size());
  check(in[0].rank() <= ShapeOfArgs::max_rank, "shape_of: at most ", ShapeOfArgs::max_rank,
        " axes, received x of shape ", to_string(in[0].shape));
  return {Spec{DType::i32, {Dim(in[0].rank())}, in[0].shape}};
}

void ShapeOf::bind(const Bind& b, ShapeOfArgs& a) const {
  a.y = b.write<int32_t>();
  a.rank = b.in(0).rank;
  for (int i = 0; i < a.rank; ++i) {
    const int64_t size = b.in(0).shape[i];
    check(size <= std::numeric_limits<int32_t>::max(), "shape_of: sizes must fit into int32, received ", size);
    a.sizes[i] = static_cast<int32_t>(size);
  }
}

}  // namespace maas
