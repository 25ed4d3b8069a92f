#pragma once
#include "graph/op.h"
#include "ops/conv/repeat_kernels.h"

namespace maas {

// y = every channel of x `times` times, or the sums of every `times` channels: what depthwise convolutions of several
// filters a channel lower to, beside the convolution of one.
struct RepeatChannels {
  int64_t times = 1;
  bool sum = false;
  MAAS_PARAMS(times, sum)
  using Args = RepeatChannelsArgs;
  static const KernelTable& kernels();
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, Args& a) const;
  int64_t units(const Args& a) const { return (a.pixels + Args::unit - 1) / Args::unit; }
  double work(const Args& a) const { return 0.5 * static_cast<double>(a.pixels * a.channels * a.times); }
};

}  // namespace maas
