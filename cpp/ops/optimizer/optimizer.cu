// Optimizer steps on a GPU: one launch for up to kSpans variables, each array read and written once, 16 bytes at a
// time.
#include <algorithm>

#include "cuda/launch.h"
#include "cuda/vector.h"
#include "ops/optimizer/optimizer_kernels.h"

#define MAAS_KERNELS "ops/optimizer/kernels.inc"
#define MAAS_KERNEL_ARGS OptimizerArgs
#define MAAS_KERNEL_TABLE update_kernels
#include "cuda/kernel_table.h"

namespace maas {
namespace {

constexpr int kThreads = 256, kSpans = 32, kWidth = OptimizerArgs::unit / kThreads;  // elements of a thread

// Parameters of a launch, within the 4 KB that every driver takes.
struct Spans {
  OptimizerSpan at[kSpans];
  int count;
};
template <class T>
struct Numbers {
  const T *scalars[OptimizerArgs::max_scalars], *decay;
  T momentum, beta_1, new_1, beta_2, new_2, epsilon, power, l1, l2, shrinkage, beta;
  bool nesterov;
};

__device__ __forceinline__ float root(float x) { return sqrtf(x); }
__device__ __forceinline__ double root(double x) { return sqrt(x); }
__device__ __forceinline__ float raised(float x, float p) { return powf(x, p); }
__device__ __forceinline__ double raised(double x, double p) { return pow(x, p); }
template <class T>
__device__ __forceinline__ T largest(T a, T b) {
  return a > b || a != a ? a : b;
}

// ---- rules: `update` changes one element of w and its slots

struct Sgd {
  static constexpr int slots = 0;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>&, const T* r, T g, T& w, T*) {
    w -= r[0] * g;
  }
};
struct Momentum {
  static constexpr int slots = 1;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    const T move = r[0] * g;
    s[0] = n.momentum * s[0] - move;
    w += n.nesterov ? n.momentum * s[0] - move : s[0];
  }
};
template <bool kAmsgrad>
struct Adam {
  static constexpr int slots = 2 + kAmsgrad;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] += (g - s[0]) * n.new_1;
    s[1] += (g * g - s[1]) * n.new_2;
    if constexpr (kAmsgrad) s[2] = largest(s[2], s[1]);
    w -= s[0] * r[0] / (root(s[1 + kAmsgrad]) + n.epsilon);
  }
};
template <bool kMomentum, bool kCentered>
struct RmsProp {
  static constexpr int slots = 1 + kMomentum + kCentered;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] = n.beta_2 * s[0] + n.new_2 * (g * g);
    T square = s[0];
    if constexpr (kCentered) {
      T& mean = s[1 + kMomentum];
      mean = n.beta_2 * mean + n.new_2 * g;
      square -= mean * mean;
    }
    T move = r[0] * g / root(square + n.epsilon);
    if constexpr (kMomentum) move = s[1] = n.momentum * s[1] + move;
    w -= move;
  }
};
struct Adagrad {
  static constexpr int slots = 1;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] += g * g;
    w -= r[0] * g / root(s[0] + n.epsilon);
  }
};
struct Adadelta {
  static constexpr int slots = 2;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] = n.beta_2 * s[0] + n.new_2 * (g * g);
    const T move = -(root(s[1] + n.epsilon) * g / root(s[0] + n.epsilon));
    s[1] = n.beta_2 * s[1] + n.new_2 * (move * move);
    w += r[0] * move;
  }
};
struct Adamax {
  static constexpr int slots = 2;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] += (g - s[0]) * n.new_1;
    s[1] = largest(n.beta_2 * s[1], g < T(0) ? -g : g);
    w -= r[0] * s[0] / (s[1] + n.epsilon);
  }
};
struct Nadam {
  static constexpr int slots = 2;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    s[0] += (g - s[0]) * n.new_1;
    s[1] += (g * g - s[1]) * n.new_2;
    w -= (r[0] * s[0] + r[1] * g) / (root(s[1] * r[2]) + n.epsilon);
  }
};
struct Lion {
  static constexpr int slots = 1;
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    const T x = n.beta_1 * s[0] + n.new_1 * g;
    w -= r[0] * (x > T(0) ? T(1) : x < T(0) ? T(-1) : x);
    s[0] = n.beta_2 * s[0] + n.new_2 * g;
  }
};
template <bool kRoot>  // the usual power 1/2
struct Ftrl {
  static constexpr int slots = 2;
  template <class T>
  static __device__ __forceinline__ T power(const Numbers<T>& n, T x) {
    if constexpr (kRoot)
      return root(x);
    else
      return raised(x, n.power);
  }
  template <class T>
  static __device__ __forceinline__ void update(const Numbers<T>& n, const T* r, T g, T& w, T* s) {
    const T next = s[0] + g * g, high = power(n, next);
    s[1] += g + n.shrinkage * w - (high - power(n, s[0])) / r[0] * w;
    const T clipped = s[1] < -n.l1 ? -n.l1 : s[1] > n.l1 ? n.l1 : s[1];
    w = (clipped - s[1]) / (high / r[0] + (n.l2 + n.beta / r[0]));
    s[0] = next;
  }
};

// ---- the walk: one block takes one unit of one span

template <class T>
__device__ __forceinline__ bool aligned(const void* p) {
  return reinterpret_cast<uintptr_t>(p) % 16 == 0;
}

template <class T, class Rule>
__global__ void __launch_bounds__(kThreads) update_spans(const Spans spans, const Numbers<T> n) {
  constexpr int kSlots = Rule::slots;
  // The last span that starts at this unit or before: those of no size share their start with the next one.
  int low = 0, high = spans.count;
  const int64_t unit = static_cast<int64_t>(blockIdx.x) + spans.at[0].first_unit;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    (spans.at[middle].first_unit <= unit ? low : high) = middle;
  }
  const OptimizerSpan& p = spans.at[low];
  const int64_t first = (unit - p.first_unit) * OptimizerArgs::unit;
  T r[OptimizerArgs::max_scalars];
#pragma unroll
  for (int i = 0; i < OptimizerArgs::max_scalars; ++i) r[i] = n.scalars[i] ? *n.scalars[i] : T(0);
  const T decay = n.decay ? *n.decay : T(0);
  auto element = [&](T g, T& w, T* s) {
    if (n.decay) w -= w * decay;
    Rule::update(n, r, g, w, s);
  };
  const T *w_in = static_cast<const T*>(p.w), *g_in = static_cast<const T*>(p.g);
  T* w_out = static_cast<T*>(p.w_out);
  bool vector = p.size - first >= OptimizerArgs::unit && aligned<T>(p.w) && aligned<T>(p.g) && aligned<T>(p.w_out);
#pragma unroll
  for (int j = 0; j < kSlots; ++j) vector = vector && aligned<T>(p.slots[j]) && aligned<T>(p.slots_out[j]);
  if (vector) {
    // kWidth elements in 16-byte pieces, which a warp reads side by side.
    constexpr int kPiece = cuda::kLanes<T>, kPieces = kWidth / kPiece;
    cuda::Vector<T> w[kPieces], g[kPieces], s[kSlots + 1][kPieces];
    const int64_t at = first + static_cast<int64_t>(threadIdx.x) * kPiece;
#pragma unroll
    for (int k = 0; k < kPieces; ++k) {
      const int64_t i = at + k * (kThreads * kPiece);
      w[k] = cuda::load(w_in + i);
      g[k] = cuda::load(g_in + i);
#pragma unroll
      for (int j = 0; j < kSlots; ++j) s[j][k] = cuda::load(static_cast<const T*>(p.slots[j]) + i);
    }
#pragma unroll
    for (int k = 0; k < kPieces; ++k) {
      const int64_t i = at + k * (kThreads * kPiece);
#pragma unroll
      for (int e = 0; e < kPiece; ++e) {
        T slots[kSlots + 1];
#pragma unroll
        for (int j = 0; j < kSlots; ++j) slots[j] = s[j][k][e];
        element(g[k][e], w[k][e], slots);
#pragma unroll
        for (int j = 0; j < kSlots; ++j) s[j][k][e] = slots[j];
      }
      if (w_out) cuda::store(w_out + i, w[k]);
#pragma unroll
      for (int j = 0; j < kSlots; ++j)
        if (p.slots_out[j]) cuda::store(static_cast<T*>(p.slots_out[j]) + i, s[j][k]);
    }
    return;
  }
  for (int k = 0; k < kWidth; ++k) {
    const int64_t i = first + k * kThreads + static_cast<int64_t>(threadIdx.x);
    if (i >= p.size) return;
    T w = w_in[i], slots[kSlots + 1];
#pragma unroll
    for (int j = 0; j < kSlots; ++j) slots[j] = static_cast<const T*>(p.slots[j])[i];
    element(g_in[i], w, slots);
    if (w_out) w_out[i] = w;
#pragma unroll
    for (int j = 0; j < kSlots; ++j)
      if (p.slots_out[j]) static_cast<T*>(p.slots_out[j])[i] = slots[j];
  }
}

template <class T, class Rule>
void run(const OptimizerArgs& a, const Launch& l) {
  Numbers<T> n{};
  for (int i = 0; i < OptimizerArgs::max_scalars; ++i) n.scalars[i] = static_cast<const T*>(a.scalars[i]);
  n.decay = static_cast<const T*>(a.decay);
  n.momentum = static_cast<T>(a.momentum);
  n.beta_1 = static_cast<T>(a.beta_1);
  n.new_1 = static_cast<T>(1 - a.beta_1);
  n.beta_2 = static_cast<T>(a.beta_2);
  n.new_2 = static_cast<T>(1 - a.beta_2);
  n.epsilon = static_cast<T>(a.epsilon);
  n.power = static_cast<T>(a.power);
  n.l1 = static_cast<T>(a.l1);
  n.l2 = static_cast<T>(a.l2);
  n.shrinkage = static_cast<T>(a.shrinkage);
  n.beta = static_cast<T>(a.beta);
  n.nesterov = a.nesterov;
  for (int from = 0; from < a.spans; from += kSpans) {
    Spans spans{};
    spans.count = std::min(kSpans, a.spans - from);
    std::copy(a.span + from, a.span + from + spans.count, spans.at);
    const int64_t end = from + spans.count < a.spans ? a.span[from + spans.count].first_unit : a.units;
    const int64_t units = end - a.span[from].first_unit;
    if (units > 0) cuda::launch(l, update_spans<T, Rule>, cuda::blocks_for(units, 1), kThreads, 0, spans, n);
  }
}

template <class T>
void update(const OptimizerArgs& a, const Launch& l) {
  switch (a.rule) {
    case OptimizerRule::sgd:
      return a.momentum == 0 ? run<T, Sgd>(a, l) : run<T, Momentum>(a, l);
    case OptimizerRule::adam:
      return a.third ? run<T, Adam<true>>(a, l) : run<T, Adam<false>>(a, l);
    case OptimizerRule::rmsprop:
      if (a.momentum != 0) return a.third ? run<T, RmsProp<true, true>>(a, l) : run<T, RmsProp<true, false>>(a, l);
      return a.third ? run<T, RmsProp<false, true>>(a, l) : run<T, RmsProp<false, false>>(a, l);
    case OptimizerRule::adagrad:
      return run<T, Adagrad>(a, l);
    case OptimizerRule::adadelta:
      return run<T, Adadelta>(a, l);
    case OptimizerRule::adamax:
      return run<T, Adamax>(a, l);
    case OptimizerRule::nadam:
      return run<T, Nadam>(a, l);
    case OptimizerRule::lion:
      return run<T, Lion>(a, l);
    case OptimizerRule::ftrl:
      return a.power == 0.5 ? run<T, Ftrl<true>>(a, l) : run<T, Ftrl<false>>(a, l);
  }
}

}  // namespace

void update_f32_cuda(const OptimizerArgs& a, const Launch& l) { update<float>(a, l); }
void update_f64_cuda(const OptimizerArgs& a, const Launch& l) { update<double>(a, l); }

}  // namespace maas
