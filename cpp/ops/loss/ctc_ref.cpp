#include <cmath>

#include "ops/loss/ctc_kernels.h"

namespace maas {
namespace {

constexpr double kNone = -HUGE_VAL, kImpossible = 1e5;

double log_add(double a, double b) {
  if (a == kNone) return b;
  if (b == kNone) return a;
  const double top = a > b ? a : b;
  return top + std::log1p(std::exp((a > b ? b : a) - top));
}

// One row: its sizes, and where its tables lie.
template <class T>
struct Ctc {
  const T* x;
  T* dx;
  const int32_t* labels;
  int64_t time, states, classes, blank;
  double *alpha, *beta, *next, *lse;

  int64_t symbol(int64_t s) const { return s % 2 ? labels[s / 2] : blank; }
  double score(int64_t t, int64_t s) const { return static_cast<double>(x[t * classes + symbol(s)]) - lse[t]; }
  // A path may jump from label to label over the blank between them, unless they are equal.
  bool jumps(int64_t s) const { return s % 2 && s >= 3 && labels[s / 2] != labels[s / 2 - 1]; }

  void normalize() {
    for (int64_t t = 0; t < time; ++t) {
      const T* row = x + t * classes;
      double top = static_cast<double>(row[0]), total = 0;
      for (int64_t c = 1; c < classes; ++c)
        if (static_cast<double>(row[c]) > top) top = static_cast<double>(row[c]);
      for (int64_t c = 0; c < classes; ++c) total += std::exp(static_cast<double>(row[c]) - top);
      lse[t] = top + std::log(total);
    }
  }

  // alpha[t][s]: log probability of all beginnings that are in state s at step t. Returns that of all paths.
  double forward(const Exec& exec) {
    for (int64_t s = 0; s < states; ++s) alpha[s] = s < 2 ? score(0, s) : kNone;
    for (int64_t t = 1; t < time && !exec.stopped(); ++t) {
      const double* last = alpha + (t - 1) * states;
      for (int64_t s = 0; s < states; ++s) {
        double sum = last[s];
        if (s > 0) sum = log_add(sum, last[s - 1]);
        if (jumps(s)) sum = log_add(sum, last[s - 2]);
        alpha[t * states + s] = sum + score(t, s);
      }
    }
    const double* last = alpha + (time - 1) * states;
    return states > 1 ? log_add(last[states - 1], last[states - 2]) : last[0];
  }

  // beta[s]: log probability of all endings after step t from state s; with it the occupancy exp(alpha + beta - all).
  void backward(double all, const Exec& exec) {
    for (int64_t s = 0; s < states; ++s) beta[s] = s >= states - 2 ? 0 : kNone;
    for (int64_t t = time - 1; t >= 0 && !exec.stopped(); --t) {
      const T* row = x + t * classes;
      T* out = dx + t * classes;
      for (int64_t c = 0; c < classes; ++c) out[c] = static_cast<T>(std::exp(static_cast<double>(row[c]) - lse[t]));
      for (int64_t s = 0; s < states; ++s)
        out[symbol(s)] -= static_cast<T>(std::exp(alpha[t * states + s] + beta[s] - all));
      if (t == 0) return;
      for (int64_t s = 0; s < states; ++s) {
        double sum = beta[s] + score(t, s);
        if (s + 1 < states) sum = log_add(sum, beta[s + 1] + score(t, s + 1));
        if (s + 2 < states && jumps(s + 2)) sum = log_add(sum, beta[s + 2] + score(t, s + 2));
        next[s] = sum;
      }
      double* const done = beta;
      beta = next;
      next = done;
    }
  }
};

// False if the row holds what cannot be read.
bool check_row(const CtcArgs& a, int64_t b, const Exec& exec) {
  const auto bad = [&](int64_t position, int64_t value) {
    if (exec.status) exec.status->report(position, value);
    return false;
  };
  if (a.blank < 0 || a.blank >= a.classes) return bad(b, a.blank);
  const int64_t length = a.label_lengths[b], time = a.time_lengths[b];
  if (length < 0 || length > a.width) return bad(b, length);
  if (time < 0 || time > a.time) return bad(b, time);
  for (int64_t i = b * a.width; i < b * a.width + length; ++i)
    if (a.labels[i] < 0 || a.labels[i] >= a.classes) return bad(i, a.labels[i]);
  return true;
}

template <class T>
void rows(const CtcArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  for (int64_t b = begin; b < end && !exec.stopped(); ++b) {
    const int64_t size = a.time * a.classes;
    T* const dx = a.dx ? static_cast<T*>(a.dx) + b * size : nullptr;
    for (int64_t i = 0; dx && i < size; ++i) dx[i] = 0;
    T& loss = static_cast<T*>(a.loss)[b];
    loss = 0;
    if (!check_row(a, b, exec)) continue;
    Ctc<T> c{static_cast<const T*>(a.x) + b * size,
             dx,
             a.labels + b * a.width,
             a.time_lengths[b],
             2 * a.label_lengths[b] + int64_t{1},
             a.classes,
             a.blank,
             nullptr,
             nullptr,
             nullptr,
             nullptr};
    c.alpha = static_cast<double*>(exec.scratch);
    c.beta = c.alpha + c.time * c.states;
    c.next = c.beta + c.states;
    c.lse = c.next + c.states;
    if (c.time == 0) {
      loss = static_cast<T>(c.states == 1 ? 0 : kImpossible);
      continue;
    }
    c.normalize();
    const double all = c.forward(exec);
    loss = static_cast<T>(all == kNone ? kImpossible : -all);
    if (dx && all != kNone) c.backward(all, exec);
  }
}

}  // namespace

void ctc_loss_f32_ref(const CtcArgs& a, int64_t begin, int64_t end, const Exec& x) { rows<float>(a, begin, end, x); }
void ctc_loss_f64_ref(const CtcArgs& a, int64_t begin, int64_t end, const Exec& x) { rows<double>(a, begin, end, x); }

}  // namespace maas
