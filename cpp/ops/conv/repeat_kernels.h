#pragma once
// Channels for depthwise filters, `times` of them a channel.
//   repeat: y[p][c * times + j] = x[p][c]      sum: y[p][c] = sum over j of x[p][c * times + j], j ascending
// One unit = `unit` pixels p. y does not overlap x.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct RepeatChannelsArgs {
  static constexpr int64_t unit = 64;
  const void* x;
  void* y;
  int64_t pixels, channels, times;  // channels: the few
  bool sum;
};

}  // namespace maas
