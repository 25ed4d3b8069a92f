// Checks on hardware what cuda/tma.h and cuda/wgmma.h say of it: swizzle, descriptors, fragments, tensor maps,
// clusters. Prints PASS or FAIL a line; where a descriptor is wrong, which of the others is right. Needs a Hopper GPU
// only; probe.sh builds it.
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "cuda/tma.h"
#include "cuda/wgmma.h"

using namespace maas::cuda;
using bf16 = __nv_bfloat16;

#define CHECK(call)                                                                          \
  do {                                                                                       \
    const cudaError_t e = (call);                                                            \
    if (e != cudaSuccess) {                                                                  \
      std::printf("ERROR %s:%d %s: %s\n", __FILE__, __LINE__, #call, cudaGetErrorString(e)); \
      std::exit(1);                                                                          \
    }                                                                                        \
  } while (0)

// A wait that gives up: a wrong byte count must not hang the GPU.
__device__ bool patient_wait(uint64_t* barrier, uint32_t parity, int* late) {
  for (int i = 0; i < 200000; ++i)
    if (mbarrier_try(barrier, parity)) return true;
  *late = 1;
  return false;
}

// ---- 1. a swizzled block as it lies in shared memory

__global__ void dump_kernel(const __grid_constant__ CUtensorMap map, uint16_t* out, int* late, int c0, int c1) {
  extern __shared__ unsigned char memory[];
  unsigned char* const block = align_1024(memory);
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_expect(&barrier, 64 * 128);
    tma_load(block, map, &barrier, c0, c1, 0);
  }
  patient_wait(&barrier, 0, late);
  for (int i = threadIdx.x; i < 64 * 64; i += blockDim.x) out[i] = reinterpret_cast<uint16_t*>(block)[i];
}

// ---- 2. products with any descriptors

struct Words {
  uint32_t leading, stride, step;  // bytes
};
// a: 64 x 64, b: 64 x N, both as copies of 64-element rows. d = a b.
template <int N, bool kTransA, bool kTransB, bool kRegisters>
__global__ void __launch_bounds__(128)
    product_kernel(const __grid_constant__ CUtensorMap map_a, const __grid_constant__ CUtensorMap map_b,
                   const bf16* a_plain, float* out, int* late, Words wa, Words wb) {
  extern __shared__ unsigned char memory[];
  unsigned char* const a = align_1024(memory);
  unsigned char* const b = a + 64 * 128;
  __shared__ uint64_t barrier;
  if (threadIdx.x == 0) {
    mbarrier_init(&barrier, 1);
    mbarrier_init_fence();
  }
  __syncthreads();
  if (threadIdx.x == 0) {
    mbarrier_expect(&barrier, 64 * 128 + N * 128);
    tma_load(a, map_a, &barrier, 0, 0, 0);
    if (kTransB)
      for (int j = 0; j < N / 64; ++j) tma_load(b + j * 8192, map_b, &barrier, j * 64, 0, 0);
    else
      tma_load(b, map_b, &barrier, 0, 0, 0);
  }
  if (!patient_wait(&barrier, 0, late)) return;
  __syncthreads();
  float d[N / 2];
  for (int i = 0; i < N / 2; ++i) d[i] = 7;
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, row = warp * 16 + lane / 4, q = lane % 4 * 2;
  uint32_t fragment[4][4];
  for (int step = 0; step < 4; ++step)
    for (int i = 0; i < 4; ++i)
      fragment[step][i] =
          *reinterpret_cast<const uint32_t*>(a_plain + (row + i % 2 * 8) * 64 + step * 16 + q + i / 2 * 8);
  wgmma_fence();
#pragma unroll
  for (int step = 0; step < 4; ++step) {
    const uint64_t db = wgmma_descriptor(b + step * wb.step, wb.leading, wb.stride);
    if constexpr (kRegisters)
      Wgmma<bf16, N>::template rs<kTransB>(d, fragment[step], db, step > 0);
    else
      Wgmma<bf16, N>::template ss<kTransA, kTransB>(d, wgmma_descriptor(a + step * wa.step, wa.leading, wa.stride), db,
                                                    step > 0);
  }
  wgmma_commit();
  wgmma_wait<0>();
  keep(d);
  for (int j = 0; j < N / 8; ++j)
    for (int i = 0; i < 4; ++i) out[(row + i / 2 * 8) * N + j * 8 + q + i % 2] = d[j * 4 + i];
}

// ---- 3. d through stmatrix and a bulk copy to c, clipped at its edges

__global__ void __launch_bounds__(128) store_kernel(const __grid_constant__ CUtensorMap map, int row0, int column0) {
  extern __shared__ unsigned char memory[];
  unsigned char* const block = align_1024(memory);
  const int warp = threadIdx.x / 32, lane = threadIdx.x % 32, matrix = lane / 8;
  uint32_t packed[8][2];
  for (int j = 0; j < 8; ++j)
    for (int h = 0; h < 2; ++h) {
      const float v = (warp * 16 + lane / 4 + h * 8) * 64 + j * 8 + lane % 4 * 2;
      packed[j][h] = pack<bf16>(v / 64, (v + 1) / 64 + 1000);
    }
  const uint32_t line = warp * 16 + matrix % 2 * 8 + lane % 8;
  for (int j = 0; j < 8; j += 2)
    store_matrix(block + swizzle_128(line, (j + matrix / 2) * 16), packed[j][0], packed[j][1], packed[j + 1][0],
                 packed[j + 1][1]);
  copy_fence();
  named_barrier(1, 128);
  if (threadIdx.x == 0) {
    tma_store(map, block, column0, row0, 0);
    tma_store_commit();
    tma_store_wait<0>();
  }
}

// ---- 4. a cluster of two: each brings half of a block to both, and frees a stage of both

__global__ void __cluster_dims__(2, 1, 1)
    cluster_kernel(const __grid_constant__ CUtensorMap map, uint16_t* out, int* late) {
  extern __shared__ unsigned char memory[];
  unsigned char* const block = align_1024(memory);
  __shared__ uint64_t full, empty;
  const uint32_t rank = cluster_rank();
  if (threadIdx.x == 0) {
    mbarrier_init(&full, 1);
    mbarrier_init(&empty, 2);
    mbarrier_init_fence();
  }
  cluster_sync();
  for (int round = 0; round < 3; ++round) {
    if (threadIdx.x == 0) {
      patient_wait(&empty, (round & 1) ^ 1, late);
      mbarrier_expect(&full, 64 * 128);
      tma_load_multicast(block + rank * 4096, map, &full, 3, 0, static_cast<int>(rank) * 32, round);
    }
    __syncthreads();
    patient_wait(&full, round & 1, late);
    for (int i = threadIdx.x; i < 64 * 64; i += blockDim.x)
      out[((rank * 3) + round) * 4096 + i] = reinterpret_cast<uint16_t*>(block)[i];
    __syncthreads();
    if (threadIdx.x < 2) mbarrier_arrive_at(&empty, threadIdx.x);
  }
  cluster_sync();
}

// ---- 5. registers move between warpgroups

__global__ void __launch_bounds__(384, 1) registers_kernel(int* out) {
  if (threadIdx.x < 128) {
    fewer_registers<40>();
    if (threadIdx.x < 32 && elect_one()) atomicAdd(out, 1);
    __syncwarp();
  } else {
    more_registers<232>();
    named_barrier(1 + threadIdx.x / 128, 128);
    if (threadIdx.x % 128 == 0) atomicAdd(out, 10);
  }
}

// ---- host

float random_value() { return static_cast<float>(std::rand() % 2001 - 1000) / 1000; }
bf16 host_bf16(float v) {
  uint32_t u;
  std::memcpy(&u, &v, 4);
  const uint16_t h = static_cast<uint16_t>((u + 0x7fff + ((u >> 16) & 1)) >> 16);
  bf16 b;
  std::memcpy(&b, &h, 2);
  return b;
}
float host_float(bf16 b) {
  uint16_t h;
  std::memcpy(&h, &b, 2);
  const uint32_t u = static_cast<uint32_t>(h) << 16;
  float v;
  std::memcpy(&v, &u, 4);
  return v;
}
template <class T>
struct Buffer {
  T* gpu = nullptr;
  std::vector<T> host;
  explicit Buffer(size_t n) : host(n) { CHECK(cudaMalloc(&gpu, n * sizeof(T))); }
  void up() { CHECK(cudaMemcpy(gpu, host.data(), host.size() * sizeof(T), cudaMemcpyHostToDevice)); }
  void down() { CHECK(cudaMemcpy(host.data(), gpu, host.size() * sizeof(T), cudaMemcpyDeviceToHost)); }
};
CUtensorMap map_of(const void* data, int batch, int rows, int columns, int box_rows) {
  const int64_t shape[] = {batch, rows, columns}, strides[] = {int64_t{rows} * columns, columns};
  const int box[] = {1, box_rows, 64};
  return tensor_map(CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, data, 3, shape, strides, box);
}
int failures = 0;
bool report(bool ok, const char* what, const char* more = "") {
  std::printf("%s  %s%s\n", ok ? "PASS" : "FAIL", what, more);
  failures += !ok;
  return ok;
}

void check_load() {
  Buffer<bf16> x(100 * 64);
  for (size_t i = 0; i < x.host.size(); ++i) x.host[i] = host_bf16(random_value());
  x.up();
  for (const int row0 : {0, 70}) {  // 70: the last 34 rows are beyond the tensor
    Buffer<uint16_t> out(4096);
    Buffer<int> late(1);
    late.up();
    dump_kernel<<<1, 128, 8192 + 1024>>>(map_of(x.gpu, 1, 100, 64, 64), out.gpu, late.gpu, 0, row0);
    CHECK(cudaDeviceSynchronize());
    out.down();
    late.down();
    int wrong = 0, plain_wrong = 0;
    for (int r = 0; r < 64; ++r)
      for (int c = 0; c < 64; ++c) {
        uint16_t want = 0;
        if (row0 + r < 100) std::memcpy(&want, &x.host[(row0 + r) * 64 + c], 2);
        const uint32_t at = r * 128 + ((c * 2) ^ ((r & 7) << 4));
        wrong += out.host[at / 2] != want;
        plain_wrong += out.host[r * 64 + c] != want;
      }
    char text[120];
    std::snprintf(text, sizeof text, " (rows from %d; late %d, wrong %d; without swizzle %d would be wrong)", row0,
                  late.host[0], wrong, plain_wrong);
    report(!wrong && !late.host[0], "bulk tensor load, 128-byte swizzle", text);
  }
}

template <int N, bool kTransA, bool kTransB, bool kRegisters>
void check_product() {
  Buffer<bf16> a(64 * 64), b(N * 64), a_plain(64 * 64);
  Buffer<float> out(64 * N);
  Buffer<int> late(1);
  std::vector<float> want(64 * N);
  for (auto* x : {&a, &b})
    for (bf16& v : x->host) v = host_bf16(random_value());
  // a is stored (m, k), or (k, m) if kTransA; b (k, n) if kTransB, else (n, k).
  for (int i = 0; i < 64; ++i)
    for (int k = 0; k < 64; ++k) a_plain.host[i * 64 + k] = kTransA ? a.host[k * 64 + i] : a.host[i * 64 + k];
  for (int i = 0; i < 64; ++i)
    for (int j = 0; j < N; ++j) {
      double sum = 0;
      for (int k = 0; k < 64; ++k)
        sum += host_float(a_plain.host[i * 64 + k]) * host_float(kTransB ? b.host[k * N + j] : b.host[j * 64 + k]);
      want[i * N + j] = static_cast<float>(sum);
    }
  a.up();
  b.up();
  a_plain.up();
  const CUtensorMap map_a = map_of(a.gpu, 1, 64, 64, 64);
  const CUtensorMap map_b = kTransB ? map_of(b.gpu, 1, 64, N, 64) : map_of(b.gpu, 1, N, 64, N);
  const auto kernel = product_kernel<N, kTransA, kTransB, kRegisters>;
  CHECK(cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, 1024 + 64 * 128 + N * 128));
  const auto error = [&](Words wa, Words wb) {
    late.host[0] = 0;
    late.up();
    for (float& v : out.host) v = NAN;
    out.up();
    kernel<<<1, 128, 1024 + 64 * 128 + N * 128>>>(map_a, map_b, a_plain.gpu, out.gpu, late.gpu, wa, wb);
    CHECK(cudaDeviceSynchronize());
    out.down();
    late.down();
    double worst = 0;
    for (size_t i = 0; i < want.size(); ++i) {
      const double e = std::fabs(out.host[i] - want[i]);
      worst = e == e && e > worst ? e : e == e ? worst : 1e30;
    }
    return worst;
  };
  const Words k{16, 1024, 32}, mn{8192, 1024, 2048};  // what wgmma.h says
  const Words wa = kTransA ? mn : k, wb = kTransB ? mn : k;
  const double e = error(wa, wb);
  char text[160];
  std::snprintf(text, sizeof text, " n %d a %s b %s: error %.2e, late %d", N,
                kRegisters ? "registers"
                : kTransA  ? "MN-major"
                           : "K-major",
                kTransB ? "MN-major" : "K-major", e, late.host[0]);
  if (report(e < 1e-3, "wgmma", text)) return;
  for (uint32_t leading : {16u, 128u, 1024u, 2048u, 8192u})
    for (uint32_t stride : {16u, 128u, 1024u, 2048u, 8192u})
      for (uint32_t step : {32u, 2048u, 256u, 1024u}) {
        const Words w{leading, stride, step};
        const double ea = kRegisters ? 1 : error(w, wb), eb = error(wa, w);
        if (ea < 1e-3) std::printf("      right: a leading %u stride %u step %u\n", leading, stride, step);
        if (eb < 1e-3) std::printf("      right: b leading %u stride %u step %u\n", leading, stride, step);
      }
}

void check_store() {
  const int rows = 100, columns = 72;
  for (const auto [row0, column0] : {std::pair{0, 0}, {64, 8}, {40, 64}}) {
    Buffer<bf16> y(rows * columns);
    for (bf16& v : y.host) v = host_bf16(-5);
    y.up();
    store_kernel<<<1, 128, 8192 + 1024>>>(map_of(y.gpu, 1, rows, columns, 64), row0, column0);
    CHECK(cudaDeviceSynchronize());
    y.down();
    int wrong = 0;
    for (int i = 0; i < rows; ++i)
      for (int j = 0; j < columns; ++j) {
        const int r = i - row0, c = j - column0;
        float want = -5;
        if (r >= 0 && r < 64 && c >= 0 && c < 64) want = static_cast<float>(r * 64 + c) / 64 + (c % 2 ? 1000 : 0);
        wrong += host_float(y.host[i * columns + j]) != host_float(host_bf16(want));
      }
    char text[80];
    std::snprintf(text, sizeof text, " at %d, %d: %d wrong", row0, column0, wrong);
    report(!wrong, "stmatrix and bulk tensor store", text);
  }
}

void check_cluster() {
  Buffer<bf16> x(3 * 64 * 64);
  for (bf16& v : x.host) v = host_bf16(random_value());
  x.up();
  Buffer<uint16_t> out(2 * 3 * 4096);
  Buffer<int> late(1);
  late.up();
  cluster_kernel<<<2, 128, 8192 + 1024>>>(map_of(x.gpu, 3, 64, 64, 32), out.gpu, late.gpu);
  CHECK(cudaDeviceSynchronize());
  out.down();
  late.down();
  int wrong = 0;
  for (int t = 0; t < 6; ++t)
    for (int r = 0; r < 64; ++r)
      for (int c = 0; c < 64; ++c) {
        uint16_t want;
        std::memcpy(&want, &x.host[t % 3 * 4096 + r * 64 + c], 2);
        wrong += out.host[t * 4096 + (r * 128 + ((c * 2) ^ ((r & 7) << 4))) / 2] != want;
      }
  char text[80];
  std::snprintf(text, sizeof text, ": %d wrong, late %d", wrong, late.host[0]);
  report(!wrong && !late.host[0], "multicast in a cluster of 2, remote arrivals", text);
}

void check_registers() {
  Buffer<int> out(1);
  out.up();
  registers_kernel<<<1, 384>>>(out.gpu);
  CHECK(cudaDeviceSynchronize());
  out.down();
  report(out.host[0] == 21, "setmaxnreg, elect, named barriers");
}

int main() {
  cudaDeviceProp device;
  CHECK(cudaGetDeviceProperties(&device, 0));
  std::printf("%s, sm_%d%d, %d multiprocessors\n", device.name, device.major, device.minor, device.multiProcessorCount);
  check_load();
  check_registers();
  check_product<64, false, false, false>();
  check_product<64, false, true, false>();
  check_product<64, true, false, false>();
  check_product<64, true, true, false>();
  check_product<128, false, true, false>();
  check_product<256, false, false, false>();
  check_product<256, false, true, false>();
  check_product<64, false, false, true>();
  check_product<128, false, true, true>();
  check_product<256, false, true, true>();
  check_store();
  check_cluster();
  std::printf("%d failures\n", failures);
  return failures != 0;
}
