#pragma once
// Connectionist temporal classification. loss[b] = -log of the probability that softmax(x[b]) emits labels[b], summed
// over all paths: drop repeats, then blanks, and the labels remain. Forward-backward in log space over the 2L + 1
// states blank, l1, blank, l2, ..., blank; sums in double.
//   dx[b][t][c] = softmax(x[b][t])[c] - sum of the occupancy of the states that emit c: the gradient of loss[b].
// x, dx: batch x time x classes; labels: batch x width; all dense. Only the first label_lengths[b] labels and the first
// time_lengths[b] steps of a row are read; dx is 0 behind them. Labels that no path emits: loss 1e5, gradient 0. Bad
// labels and lengths are reported, the row's loss and gradient are 0. dx may be null. One unit = one row.
// exec.scratch holds ctc_scratch(time, width) bytes.
#include <cstdint>

#include "core/exec.h"

namespace maas {

struct CtcArgs {
  const void* x;
  const int32_t *labels, *label_lengths, *time_lengths;
  void *loss, *dx;
  int64_t batch, time, classes, width, blank;
};

// alpha of every step, two rows of beta, and log sum exp of every step.
static inline int64_t ctc_scratch(int64_t time, int64_t width) {
  const int64_t states = 2 * width + 1;
  return 8 * (time * states + 2 * states + time);
}

}  // namespace maas
