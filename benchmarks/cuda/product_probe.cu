// Products on hardware, without Python: every way against plain sums in float64, then times. probe.sh builds it.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

#include "cuda/blas.h"
#include "cuda/launch.h"
#include "cuda/library_product.h"
#include "cuda/skinny_product.h"
#include "cuda/split_product.h"
#include "cuda/vector.h"
#include "cuda/wgmma_product.h"

using namespace maas;
using cuda::check;

namespace {

__device__ double act(double x, int a) {
  if (a == ProductEpilogue::relu) return x > 0 || x != x ? x : 0;
  if (a == ProductEpilogue::gelu_erf) return 0.5 * x * erfc(-x * 0.70710678118654752);
  if (a == ProductEpilogue::gelu_tanh) return 0.5 * x * (1 + tanh(0.79788456080286536 * (x + 0.044715 * x * x * x)));
  return x;
}

// result[0]: the largest error in units of what is allowed; result[1]: elements that are not finite.
template <class T>
__global__ void compare_kernel(MatrixProduct p, double epsilon, float* worst, int* nans) {
  const int64_t count = p.batch * p.m * p.n;
  for (int64_t at = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; at < count; at += int64_t{gridDim.x} * blockDim.x) {
    const int64_t j = at % p.n, i = at / p.n % p.m, t = at / p.n / p.m, where = t * p.c_batch + i * p.ldc + j;
    const T* a = static_cast<const T*>(p.a) + t * p.a_batch + i * p.rsa;
    const T* b = static_cast<const T*>(p.b) + t * p.b_batch + j * p.csb;
    double sum = 0, size = 0;
    for (int64_t k = 0; k < p.k; ++k) {
      const double v = static_cast<double>(static_cast<float>(a[k * p.csa])) * static_cast<float>(b[k * p.rsb]);
      sum += v;
      size += fabs(v);
    }
    const ProductEpilogue& e = p.epilogue;
    if (e.bias) sum += static_cast<float>(static_cast<const T*>(e.bias)[j]);
    const double more = e.residual ? static_cast<float>(static_cast<const T*>(e.residual)[where]) : 0;
    const double before = fabs(sum) + fabs(more);
    if (e.residual_first) sum += more;
    sum = act(sum, e.activation);
    if (!e.residual_first) sum += more;
    const double got = static_cast<float>(static_cast<const T*>(p.c)[where]);
    // 16-bit results may have been rounded before the epilogue too.
    const double allowed =
        size * 6e-8 * (4 + 2 * sqrt(static_cast<double>(p.k))) + epsilon * (before + fabs(sum)) + 1e-6;
    const float error = static_cast<float>(fabs(got - sum) / allowed);
    if (!(error == error)) atomicAdd(nans, 1);
    atomicMax(reinterpret_cast<int*>(worst), __float_as_int(error == error ? error : 1e9f));
  }
}

template <class T>
__global__ void fill_kernel(T* x, int64_t count, uint32_t seed, float scale) {
  for (int64_t i = int64_t{blockIdx.x} * blockDim.x + threadIdx.x; i < count; i += int64_t{gridDim.x} * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 2654435761u + seed * 40503u;
    float sum = -2;
    for (int r = 0; r < 4; ++r) {
      h ^= h >> 16;
      h *= 0x7feb352du;
      h ^= h >> 15;
      h *= 0x846ca68bu;
      sum += static_cast<float>(h >> 8) / 16777216.f;
    }
    x[i] = static_cast<T>(sum * scale);
  }
}

Launch g_launch;

void* allocate(size_t bytes) {
  void* p = nullptr;
  check(cudaMalloc(&p, bytes + 256), "allocation");
  return p;
}
void fill(DType t, void* x, int64_t count, uint32_t seed, float scale) {
  if (t == DType::f32) fill_kernel<<<512, 256>>>(static_cast<float*>(x), count, seed, scale);
  if (t == DType::bf16) fill_kernel<<<512, 256>>>(static_cast<__nv_bfloat16*>(x), count, seed, scale);
  if (t == DType::f16) fill_kernel<<<512, 256>>>(static_cast<__half*>(x), count, seed, scale);
}

enum Way { library, own, few, split };
const char* const kWays[] = {"library", "wgmma", "skinny", "split"};
// Layouts of a and b: by rows, by columns, rows with gaps, nothing contiguous.
enum Layout { rows, columns, gaps, apart };

struct Buffers {
  MatrixProduct p;
  std::vector<void*> owned;
  ~Buffers() {
    for (void* x : owned) cudaFree(x);
  }
};

void make(Buffers& s, DType t, int64_t m, int64_t n, int64_t k, int la, int lb, int64_t batch, bool same_b,
          int operands, int activation, bool first) {
  MatrixProduct& p = s.p;
  const int64_t size = bit_size(t) / 8;
  const auto lay = [](int how, int64_t r, int64_t c, int64_t& rs, int64_t& cs) {
    rs = how == rows ? c : how == columns ? 1 : how == gaps ? c + 8 : 2 * c + 1;
    cs = how == columns ? r : how == apart ? 2 : 1;
    return ((r - 1) * rs + (c - 1) * cs + 1 + 7) / 8 * 8;
  };
  p.dtype = t;
  p.m = m;
  p.n = n;
  p.k = k;
  p.batch = batch;
  const int64_t a = lay(la, m, k, p.rsa, p.csa), b = lay(lb, k, n, p.rsb, p.csb);
  p.a_batch = a;
  p.b_batch = same_b ? 0 : b;
  p.ldc = n;
  p.c_batch = m * n;
  const auto buffer = [&](int64_t count, uint32_t seed, float scale) {
    void* x = allocate(static_cast<size_t>(count * size));
    s.owned.push_back(x);
    fill(t, x, count, seed, scale);
    return x;
  };
  p.a = buffer(a * batch, 1, 2);
  p.b = buffer(b * batch, 2, 2 / std::sqrt(static_cast<float>(k)));
  p.c = buffer(m * n * batch, 3, 1);
  check(cudaMemset(p.c, 0xff, static_cast<size_t>(m * n * batch * size)), "fill");
  if (operands & 1) p.epilogue.bias = buffer(n, 4, 1);
  if (operands & 2) p.epilogue.residual = buffer(m * n * batch, 5, 1);
  p.epilogue.activation = static_cast<ProductEpilogue::Activation>(activation);
  p.epilogue.residual_first = first;
}

bool run(Way way, const MatrixProduct& p) {
  if (way == own) return cuda::wgmma_product(p, g_launch);
  if (way == few) return cuda::skinny_product(p, g_launch);
  if (way == split) return cuda::split_product(p, g_launch);
  cuda::multiply(p, g_launch);
  return true;
}

int g_cases = 0, g_bad = 0, g_refused = 0;
void one(Way way, DType t, int64_t m, int64_t n, int64_t k, int la, int lb, int64_t batch, bool same_b, int operands,
         int activation, bool first) {
  Buffers s;
  make(s, t, m, n, k, la, lb, batch, same_b, operands, activation, first);
  if (cuda::multiply_scratch(s.p) > size_t{256} << 20) return;
  if (!run(way, s.p)) {
    ++g_refused;
    return;
  }
  check(cudaDeviceSynchronize(), "product");
  static float* const worst = static_cast<float*>(allocate(8));
  check(cudaMemset(worst, 0, 8), "fill");
  int* const nans = reinterpret_cast<int*>(worst + 1);
  const double epsilon = t == DType::f32 ? 2e-6 : t == DType::bf16 ? 4.2e-3 : 5.5e-4;
  if (t == DType::f32) compare_kernel<float><<<512, 256>>>(s.p, epsilon, worst, nans);
  if (t == DType::bf16) compare_kernel<__nv_bfloat16><<<512, 256>>>(s.p, epsilon, worst, nans);
  if (t == DType::f16) compare_kernel<__half><<<512, 256>>>(s.p, epsilon, worst, nans);
  float result[2];
  check(cudaMemcpy(result, worst, 8, cudaMemcpyDeviceToHost), "result");
  int count;
  std::memcpy(&count, &result[1], 4);
  ++g_cases;
  if (result[0] <= 1 && !count) return;
  if (++g_bad <= 40)
    std::printf(
        "FAIL %s dtype %d m %ld n %ld k %ld layouts %d %d batch %ld same_b %d operands %d act %d first %d: "
        "error %.3g of the bound, %d NaN\n",
        kWays[way], static_cast<int>(t), m, n, k, la, lb, batch, same_b, operands, activation, first, result[0], count);
}

double milliseconds(Way way, const MatrixProduct& p) {
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  for (int i = 0; i < 3; ++i)
    if (!run(way, p)) return -1;
  cudaStream_t s;
  cudaStreamCreate(&s);
  const Launch before = g_launch;
  g_launch.stream = s;
  cudaGraph_t graph;
  cudaGraphExec_t executable;
  constexpr int kRuns = 10;
  check(cudaDeviceSynchronize(), "product");
  check(cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed), "capture");
  for (int i = 0; i < kRuns; ++i) run(way, p);
  check(cudaStreamEndCapture(s, &graph), "capture");
  check(cudaGraphInstantiate(&executable, graph, 0), "graph");
  g_launch = before;
  std::vector<float> times;
  for (int i = 0; i < 12; ++i) {
    cudaEventRecord(begin, s);
    check(cudaGraphLaunch(executable, s), "graph");
    cudaEventRecord(end, s);
    check(cudaEventSynchronize(end), "graph");
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    times.push_back(ms / kRuns);
  }
  cudaGraphExecDestroy(executable);
  cudaGraphDestroy(graph);
  cudaStreamDestroy(s);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

void time_of(const char* what, DType t, int64_t m, int64_t n, int64_t k, int lb, int operands, int activation,
             std::vector<Way> ways) {
  Buffers s;
  make(s, t, m, n, k, rows, lb, 1, false, operands, activation, false);
  const double flops = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  const double bytes = static_cast<double>(bit_size(t) / 8) * static_cast<double>(m * k + k * n + m * n);
  for (Way way : ways) {
    const double ms = milliseconds(way, s.p);
    std::printf("%-34s %-8s m %5ld n %5ld k %5ld b %s  %9.2f us  %7.1f TFLOP/s  %6.2f TB/s\n", what, kWays[way], m, n,
                k, lb == rows ? "rows" : "cols", ms * 1e3, flops / ms / 1e9, bytes / ms / 1e9);
    std::fflush(stdout);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string part = argc > 1 ? argv[1] : "all";
  cudaDeviceProp device;
  check(cudaGetDeviceProperties(&device, 0), "device");
  g_launch.multiprocessors = device.multiProcessorCount;
  g_launch.scratch = allocate(size_t{288} << 20);
  std::printf("%s\n", device.name);
  const DType types[] = {DType::bf16, DType::f16, DType::f32};
  const auto part_done = [](const char* name) {
    std::printf("%s: %d cases, %d bad, %d refused\n", name, g_cases, g_bad, g_refused);
    std::fflush(stdout);
    g_cases = g_bad = g_refused = 0;
  };
  int failed = 0;
  if (part == "all" || part == "check") {
    struct Size {
      int64_t m, n, k;
    };
    int turn = 0;
    for (DType t : types)
      for (const Size z : {Size{1, 1, 1}, {5, 7, 9}, {64, 48, 40}, {33, 128, 65}, {128, 256, 512}, {300, 264, 72}})
        for (int la = 0; la < 4; ++la)
          for (int lb = 0; lb < 4; ++lb, ++turn)
            one(library, t, z.m, z.n, z.k, la, lb, turn % 3 == 2 ? 3 : 1, turn % 2, turn % 4, turn / 2 % 4,
                turn % 5 < 2);
    failed += g_bad;
    part_done("library");
    for (DType t : types)
      for (int64_t m = 1; m <= 8; ++m)
        for (int lb = 0; lb < 2; ++lb)
          for (const Size z :
               {Size{0, 8, 8}, {0, 64, 24}, {0, 768, 768}, {0, 768, 3072}, {0, 2304, 768}, {0, 4096, 4096}})
            for (int64_t batch : {1, 3}) {
              ++turn;
              one(few, t, m, z.n, z.k, rows, lb, batch, turn % 2, turn % 4, turn / 3 % 4, turn % 5 < 2);
            }
    failed += g_bad;
    part_done("skinny");
    for (DType t : {DType::bf16, DType::f16})
      for (const Size z : {Size{64, 8, 8},
                           {65, 64, 64},
                           {128, 256, 64},
                           {128, 128, 128},
                           {200, 264, 72},
                           {256, 512, 320},
                           {257, 520, 1032},
                           {1000, 768, 768},
                           {4096, 1024, 512},
                           {2048, 3072, 768},
                           {8192, 768, 256}})
        for (int lb = 0; lb < 2; ++lb)
          for (int e = 0; e < 8; ++e) {
            ++turn;
            one(own, t, z.m, z.n, z.k, e % 3 == 2 ? gaps : rows, lb, e == 5 ? 3 : 1, turn % 2, e % 4, (e + turn) % 4,
                e > 3);
          }
    failed += g_bad;
    part_done("wgmma");
    for (const Size z :
         {Size{64, 32, 32}, {65, 40, 100}, {128, 128, 64}, {200, 264, 72}, {257, 521, 1031}, {1024, 768, 4096}})
      for (int la = 0; la < 4; ++la)
        for (int lb = 0; lb < 4; ++lb) {
          ++turn;
          one(split, DType::f32, z.m, z.n, z.k, la, lb, turn % 3 == 2 ? 3 : 1, turn % 2, turn % 4, turn / 2 % 4,
              turn % 5 < 2);
        }
    failed += g_bad;
    part_done("split");
    // What the library makes of NaN in its relu.
    Buffers s;
    make(s, DType::bf16, 128, 128, 64, rows, rows, 1, false, 1, ProductEpilogue::relu, false);
    check(cudaMemset(const_cast<void*>(s.p.a), 0xff, 128), "fill");
    run(library, s.p);
    uint16_t first = 0;
    check(cudaMemcpy(&first, s.p.c, 2, cudaMemcpyDeviceToHost), "result");
    std::printf("relu of NaN in the library: %s\n", (first & 0x7fff) > 0x7f80 ? "NaN" : "a number");
  }
  if (part == "all" || part == "time") {
    const std::vector<Way> both{library, own};
    for (int lb : {rows, columns}) {
      time_of("bf16", DType::bf16, 4096, 4096, 4096, lb, 0, 0, both);
      time_of("bf16", DType::bf16, 8192, 8192, 8192, lb, 0, 0, both);
      time_of("bf16 bias", DType::bf16, 8192, 3072, 768, lb, 1, 0, both);
      time_of("bf16 bias gelu_tanh", DType::bf16, 8192, 3072, 768, lb, 1, ProductEpilogue::gelu_tanh, both);
      time_of("bf16 bias gelu_erf", DType::bf16, 8192, 3072, 768, lb, 1, ProductEpilogue::gelu_erf, both);
      time_of("bf16 bias residual", DType::bf16, 8192, 768, 3072, lb, 3, 0, both);
      time_of("bf16 bias gelu_erf residual", DType::bf16, 8192, 3072, 768, lb, 3, ProductEpilogue::gelu_erf, both);
      time_of("bf16", DType::bf16, 128, 3072, 768, lb, 1, ProductEpilogue::gelu_erf, both);
      time_of("bf16", DType::bf16, 5120, 8192, 3072, lb, 0, 0, both);
    }
    for (DType t : {DType::bf16, DType::f32})
      for (int lb : {rows, columns}) {
        for (int64_t m : {1, 8}) time_of(t == DType::f32 ? "f32" : "bf16", t, m, 4096, 4096, lb, 1, 0, {library, few});
        for (int64_t n : {768, 2304, 3072})
          time_of(t == DType::f32 ? "f32" : "bf16", t, 1, n, 768, lb, 1, 0, {library, few});
        time_of(t == DType::f32 ? "f32" : "bf16", t, 1, 768, 3072, lb, 1, 0, {library, few});
      }
    for (int lb : {rows, columns})
      for (int64_t m : {1, 8}) time_of("bf16, beyond L2", DType::bf16, m, 32768, 4096, lb, 1, 0, {library, few});
    time_of("bf16", DType::bf16, 16, 4096, 4096, rows, 0, 0, {library});
    time_of("bf16", DType::bf16, 64, 4096, 4096, rows, 0, 0, both);
    time_of("bf16", DType::bf16, 1, 50256, 768, columns, 0, 0, {library, few});
    for (int lb : {rows, columns}) time_of("f32", DType::f32, 4096, 4096, 4096, lb, 0, 0, {library, split});
  }
  return failed != 0;
}
