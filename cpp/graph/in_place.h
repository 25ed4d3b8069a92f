#pragma once
#include "graph/op.h"

namespace maas {

// Op::in_place of an op that reports bad values: it may take over the memory of this input, but what can fail runs
// before the commit point.
constexpr int kMayFail = 1 << 21;
constexpr int in_place_but_may_fail(int input) { return input | kMayFail; }

// The input that an output may take over, Op::any_input, or -1.
inline int in_place_input(const Op& op, int output) {
  const int said = op.in_place(output);
  return said < 0 ? said : said & ~kMayFail;
}
inline bool runs_behind_commit(const Op& op) {
  const int said = op.in_place(0);
  return said >= 0 && !(said & kMayFail);
}

}  // namespace maas
