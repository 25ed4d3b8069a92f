#include "ops/conv/repeat.h"

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/conv/repeat_kernels.inc"
#define MAAS_KERNEL_ARGS RepeatChannelsArgs
#define MAAS_KERNEL_TABLE repeat_channels_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(repeat_channels, RepeatChannels)
const KernelTable& RepeatChannels::kernels() { return repeat_channels_kernels; }

Specs RepeatChannels::infer(const Inputs& in) const {
  check(in.size() == 1 && in[0].rank() >= 1, "repeat_channels: one operand with channels is needed, received ",
        in.size());
  Shape shape = in[0].shape;
  check(times >= 1 && shape.back().is_constant() && (!sum || shape.back().constant() % times == 0),
        "repeat_channels: times must be positive and divide the channels of a sum, received times=", times, " for ",
        to_string(shape));
  const int64_t channels = shape.back().constant();
  shape.back() = Dim(sum ? channels / times : channels * times);
  return {Spec{in[0].dtype, shape, {}}};
}

void RepeatChannels::bind(const Bind& b, RepeatChannelsArgs& a) const {
  const BoundValue &x = b.in(0), &few = sum ? b.out() : x;
  a = {b.read(0), b.write(0), x.size(0, x.rank - 1), few.shape[few.rank - 1], times, sum};
}

}  // namespace maas
