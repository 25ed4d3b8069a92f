// The emulated GPU itself: what a kernel may rely on, and what it reports.
#include <boost/test/unit_test.hpp>
#include <cstdlib>
#include <random>
#include <vector>

#include "core/half.h"
#include "core/random.h"
#include "cuda/launch.h"
#include "cuda/mma.h"
#include "cuda/philox.h"
#include "cuda/reduce.h"
#include "cuda/vector.h"

using namespace maas;
using namespace maas::cuda;

namespace {

template <class T>
struct DeviceArray {
  T* p = nullptr;
  size_t count;
  explicit DeviceArray(size_t n) : count(n) { cuda::check(cudaMalloc(&p, n * sizeof(T)), "test"); }
  explicit DeviceArray(const std::vector<T>& v) : DeviceArray(v.size()) {
    cuda::check(cudaMemcpy(p, v.data(), count * sizeof(T), cudaMemcpyHostToDevice), "test");
  }
  ~DeviceArray() { cudaFree(p); }
  DeviceArray(const DeviceArray&) = delete;
  std::vector<T> read() const {
    std::vector<T> v(count);
    cuda::check(cudaMemcpy(v.data(), p, count * sizeof(T), cudaMemcpyDeviceToHost), "test");
    return v;
  }
};

const Launch on_null;

std::string failure(const std::function<void()>& work) {
  try {
    work();
  } catch (const Error& e) {
    return e.what();
  }
  return "nothing";
}
bool contains(const std::string& text, const char* part) { return text.find(part) != std::string::npos; }

// Runs under both orders of threads.
template <class Work>
void in_both_orders(Work work) {
  for (const char* seed : {"0", "1", "2"}) {
    setenv("MAAS_EMULATOR_SHUFFLE", seed, 1);
    work();
  }
  unsetenv("MAAS_EMULATOR_SHUFFLE");
}

// ---- kernels

__global__ void fill_indices(int* out, int count) {
  const int i = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (i < count) out[i] = i;
}

// Every thread reads what all others wrote, round after round.
__global__ void rotate(int* out, int rounds) {
  __shared__ int values[256];
  const int t = static_cast<int>(threadIdx.x), n = static_cast<int>(blockDim.x);
  values[t] = t;
  for (int i = 0; i < rounds; ++i) {
    __syncthreads();
    const int v = values[(t + 1) % n];
    __syncthreads();
    values[t] = v;
  }
  out[t] = values[t];
}

__global__ void some_return(int* out) {
  const int t = static_cast<int>(threadIdx.x);
  if (t % 3 == 0) return;
  out[t] = __syncthreads_count(t % 2);
  if (t % 3 == 1) return;
  __syncthreads();
  out[t] += 1000;
}

template <class T>
__global__ void reductions(const T* x, T* out, int count) {
  const int t = thread_rank();
  const T v = t < count ? x[t] : T(0);
  T total;
  const T before = block_scan(v, Sum{}, T(0), total);
  out[4 * t] = block_sum(v);
  out[4 * t + 1] = block_max(v, T(-1000));
  out[4 * t + 2] = before;
  out[4 * t + 3] =
      static_cast<T>(block_reduce(ValueAt<T>{v, t}, ArgMin{}, ValueAt<T>{T(1000), 1 << 20}).at + 0 * total);
}

__global__ void lanes(uint64_t* out) {
  const int l = lane();
  out[l] = shuffle(uint64_t(l) << 40 | 1, (l + 5) % 32) >> 40;
  out[32 + l] = static_cast<uint64_t>(shuffle_up(l, 3));
  out[64 + l] = static_cast<uint64_t>(__shfl_down_sync(kAllLanes, l, 2, 8));
  out[96 + l] = __ballot_sync(kAllLanes, l % 5 == 0);
  out[128 + l] = __match_any_sync(kAllLanes, l % 4);
  out[160 + l] = static_cast<uint64_t>(__reduce_max_sync(kAllLanes, (l * 7) % 32));
  // Halves of the warp go their own ways.
  const unsigned half = l < 16 ? 0xffffu : 0xffff0000u;
  int v = l;
  for (int i = 0; i < (l < 16 ? 3 : 5); ++i) v += __shfl_xor_sync(half, v, 1);
  out[192 + l] = static_cast<uint64_t>(v);
}

// c = a * b, 16 x 8 x 16, from shared memory by ldmatrix; a row-major, b row-major (k x n).
template <bool kBf16>
__global__ void product_16bit(const uint16_t* a, const uint16_t* b, float* c) {
  auto* const sa = shared<uint16_t>();
  uint16_t* const sb = sa + 256;
  const int l = lane(), g = l / 4, t = l % 4;
  cp_async<16>(sa + 8 * l, a + 8 * l);
  cp_async<8>(sb + 4 * l, b + 4 * l);
  cp_async_commit();
  cp_async_wait();
  __syncwarp();
  uint32_t fa[4], fb[2];
  ldmatrix_x4(fa, sa + (l % 16) * 16 + l / 16 * 8);
  ldmatrix_x2_trans(fb, sb + (l % 16) * 8);
  float d[4] = {1, 1, 1, 1};
  if (kBf16)
    mma_bf16(d, fa, fb);
  else
    mma_f16(d, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}
__global__ void product_tf32(const float* a, const float* b, float* c) {  // 16 x 8 x 8
  const int l = lane(), g = l / 4, t = l % 4;
  const uint32_t fa[4] = {to_tf32(a[g * 8 + t]), to_tf32(a[(g + 8) * 8 + t]), to_tf32(a[g * 8 + t + 4]),
                          to_tf32(a[(g + 8) * 8 + t + 4])};
  const uint32_t fb[2] = {to_tf32(b[t * 8 + g]), to_tf32(b[(t + 4) * 8 + g])};
  float d[4] = {};
  mma_tf32(d, fa, fb);
  for (int i = 0; i < 4; ++i) c[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

__global__ void read_shared(float* out) {
  __shared__ float values[64];
  out[threadIdx.x] = values[threadIdx.x] + shared<float>()[threadIdx.x];
  values[threadIdx.x] = shared<float>()[threadIdx.x] = 1;
}
__global__ void unwaited_copy(const float* x, float* out) {
  auto* const s = shared<float>();
  cp_async<4>(s + threadIdx.x, x + threadIdx.x);
  cp_async_commit();
  out[threadIdx.x] = s[threadIdx.x];
  cp_async_wait();
  out[threadIdx.x + 32] = s[threadIdx.x];
}
__global__ void write_at(float* p, int64_t i) { p[i] = 1; }
__global__ void read_vector(const float* p, float* out) { out[0] = load(p)[0]; }
__global__ void half_at_barrier() {
  if (threadIdx.x < 16) __shfl_sync(kAllLanes, 1, 0);
  __syncthreads();
}
__global__ void different_collectives() {
  if (threadIdx.x < 16)
    __syncwarp();
  else
    __shfl_sync(kAllLanes, 1, 0);
}
// Wrong without a barrier between the write and the read, in some order of the threads.
__global__ void racy(int* out) {
  __shared__ int value[64];
  const int t = static_cast<int>(threadIdx.x);
  value[t] = t;
  out[t] = value[(t + 63) % 64];
}
__global__ void add(float* x, float by, int count) {
  for (int i = static_cast<int>(threadIdx.x); i < count; i += static_cast<int>(blockDim.x)) x[i] += by;
}
__global__ void draw(uint32_t* out, const int64_t* state) {
  const uint4 w = philox_words(philox_key(state, 7), threadIdx.x);
  out[4 * threadIdx.x] = w.x;
  out[4 * threadIdx.x + 1] = w.y;
  out[4 * threadIdx.x + 2] = w.z;
  out[4 * threadIdx.x + 3] = w.w;
}
__global__ void report_odd(Reporter r) {
  if (threadIdx.x % 2) r.bad(threadIdx.x, 100 + threadIdx.x);
}

void wait_for_all() { cuda::check(cudaDeviceSynchronize(), "test"); }

}  // namespace

BOOST_AUTO_TEST_CASE(threads_without_collectives) {
  DeviceArray<int> out(100'000);
  launch(on_null, fill_indices, blocks_for(100'000, 256), 256, 0, out.p, 100'000);
  const auto v = out.read();
  for (int i = 0; i < 100'000; ++i) BOOST_REQUIRE_EQUAL(v[static_cast<size_t>(i)], i);
}

BOOST_AUTO_TEST_CASE(barriers) {
  in_both_orders([] {
    DeviceArray<int> out(256);
    launch(on_null, rotate, 1, 256, 0, out.p, 100);
    const auto v = out.read();
    for (size_t i = 0; i < 256; ++i) BOOST_REQUIRE_EQUAL(v[i], (i + 100) % 256);
  });
}

BOOST_AUTO_TEST_CASE(returned_threads_count_as_arrived) {
  in_both_orders([] {
    DeviceArray<int> out(90);
    launch(on_null, some_return, 1, 90, 0, out.p);
    const auto v = out.read();
    for (size_t t = 0; t < 90; ++t)
      if (t % 3) BOOST_REQUIRE_EQUAL(v[t], t % 3 == 2 ? 1030 : 30);
  });
}

BOOST_AUTO_TEST_CASE(block_reductions) {
  in_both_orders([] {
    for (unsigned threads : {32u, 64u, 160u, 1024u}) {
      const int count = static_cast<int>(threads) - 5;
      std::vector<int> x(static_cast<size_t>(count));
      for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<int>(i * 37 % 101) + 1;
      x.back() = -3;
      int sum = 0, most = 0;
      std::vector<int> before;
      for (int v : x) before.push_back(sum += v), most = std::max(most, v);
      DeviceArray<int> dx(x), out(4 * threads);
      launch(on_null, reductions<int>, 1, dim3(8, threads / 8), 0, dx.p, out.p, count);
      const auto v = out.read();
      for (size_t t = 0; t < threads; ++t) {
        BOOST_REQUIRE_EQUAL(v[4 * t], sum);
        BOOST_REQUIRE_EQUAL(v[4 * t + 1], most);
        BOOST_REQUIRE_EQUAL(v[4 * t + 2], t < x.size() ? before[t] : sum);
        BOOST_REQUIRE_EQUAL(v[4 * t + 3], count - 1);
      }
    }
  });
}

BOOST_AUTO_TEST_CASE(collectives_of_a_warp) {
  in_both_orders([] {
    DeviceArray<uint64_t> out(224);
    launch(on_null, lanes, 1, 32, 0, out.p);
    const auto v = out.read();
    for (uint64_t l = 0; l < 32; ++l) {
      BOOST_TEST(v[l] == (l + 5) % 32);
      BOOST_TEST(v[32 + l] == (l < 3 ? l : l - 3));
      BOOST_TEST(v[64 + l] == (l % 8 < 6 ? l + 2 : l));
      BOOST_TEST(v[96 + l] == 0x42108421u);
      BOOST_TEST(v[128 + l] == 0x11111111u << l % 4);
      BOOST_TEST(v[160 + l] == 31);
      const uint64_t pair = l / 2 * 4 + 1;
      BOOST_TEST(v[192 + l] == (l < 16 ? pair * 4 : pair * 16));
    }
  });
}

BOOST_AUTO_TEST_CASE(tensor_cores_against_a_plain_product) {
  std::mt19937 random(1);
  std::normal_distribution<float> normal;
  for (int kind = 0; kind < 3; ++kind) {
    const size_t k = kind == 2 ? 8 : 16;
    const auto narrow = [&](float v) {
      return kind == 0   ? bf16_to_f32(f32_to_bf16(v))
             : kind == 1 ? f16_to_f32(f32_to_f16(v))
                         : __uint_as_float(to_tf32(v));
    };
    std::vector<float> a(16 * k), b(k * 8);
    for (float& v : a) v = narrow(normal(random));
    for (float& v : b) v = narrow(normal(random));
    DeviceArray<float> c(128);
    if (kind == 2) {
      DeviceArray<float> da(a), db(b);
      launch(on_null, product_tf32, 1, 32, 0, da.p, db.p, c.p);
      wait_for_all();
    } else {
      std::vector<uint16_t> na, nb;
      for (float v : a) na.push_back(kind == 0 ? f32_to_bf16(v) : f32_to_f16(v));
      for (float v : b) nb.push_back(kind == 0 ? f32_to_bf16(v) : f32_to_f16(v));
      DeviceArray<uint16_t> da(na), db(nb);
      launch(on_null, kind == 0 ? product_16bit<true> : product_16bit<false>, 1, 32, 1024, da.p, db.p, c.p);
      wait_for_all();
    }
    const auto v = c.read();
    for (size_t i = 0; i < 16; ++i)
      for (size_t j = 0; j < 8; ++j) {
        double sum = kind == 2 ? 0 : 1;
        for (size_t l = 0; l < k; ++l) sum += static_cast<double>(a[i * k + l]) * b[l * 8 + j];
        BOOST_TEST(v[i * 8 + j] == static_cast<float>(sum));
      }
  }
}

BOOST_AUTO_TEST_CASE(fresh_memory_is_nan) {
  DeviceArray<float> fresh(16);
  for (float v : fresh.read()) BOOST_TEST(std::isnan(v));
  DeviceArray<float> out(64);
  for (int i = 0; i < 3; ++i) {
    launch(on_null, read_shared, 4, 64, 256, out.p);
    for (float v : out.read()) BOOST_TEST(std::isnan(v));
  }
}

BOOST_AUTO_TEST_CASE(copies_are_made_when_waited_for) {
  DeviceArray<float> x(std::vector<float>(32, 2.f)), out(64);
  launch(on_null, unwaited_copy, 1, 32, 128, x.p, out.p);
  const auto v = out.read();
  BOOST_TEST(std::isnan(v[0]));
  BOOST_TEST(v[32] == 2.f);
}

BOOST_AUTO_TEST_CASE(writes_outside_are_found) {
  for (int64_t at : {int64_t{-1}, int64_t{10}, int64_t{100}}) {
    {
      DeviceArray<float> x(10);
      launch(on_null, write_at, 1, 1, 0, x.p, at);
      const std::string what = failure(wait_for_all);
      BOOST_TEST(contains(what, at < 0 ? "4 bytes before" : "behind the end"), what);
      BOOST_TEST(contains(what, "write_at"), what);
      BOOST_TEST(contains(failure([] { DeviceArray<float> y(1); }), "IllegalAddress"));  // stays
    }
    cudaDeviceReset();
    wait_for_all();
  }
}

BOOST_AUTO_TEST_CASE(misaligned_vectors_are_found) {
  DeviceArray<float> x(16), out(1);
  launch(on_null, read_vector, 1, 1, 0, x.p + 1, out.p);
  const std::string what = failure(wait_for_all);
  BOOST_TEST(contains(what, "MisalignedAddress"), what);
  cudaDeviceReset();
}

BOOST_AUTO_TEST_CASE(deadlocks_are_found) {
  launch(on_null, half_at_barrier, 1, 32, 0);
  BOOST_TEST(contains(failure(wait_for_all), "16 threads wait at __syncthreads, 16 in collectives"));
  cudaDeviceReset();
  launch(on_null, different_collectives, 1, 32, 0);
  BOOST_TEST(contains(failure(wait_for_all), "meet in different collectives"));
  cudaDeviceReset();
}

BOOST_AUTO_TEST_CASE(a_missing_barrier_shows) {
  int wrong = 0;
  in_both_orders([&] {
    DeviceArray<int> out(64);
    launch(on_null, racy, 1, 64, 0, out.p);
    const auto v = out.read();
    for (int t = 0; t < 64; ++t) wrong += v[static_cast<size_t>(t)] != (t + 63) % 64;
  });
  BOOST_TEST(wrong > 0);
}

BOOST_AUTO_TEST_CASE(limits_of_a_launch) {
  const auto fails = [](dim3 grid, dim3 block, size_t shared) {
    return failure([&] { launch(on_null, half_at_barrier, grid, block, shared); });
  };
  BOOST_TEST(contains(fails(1, 1025, 0), "1025 threads"));
  BOOST_TEST(contains(fails(dim3(1, 65536), 32, 0), "a grid of 1 x 65536 x 1"));
  BOOST_TEST(contains(fails(dim3(1, 1, 65536), 32, 0), "a grid of"));
  BOOST_TEST(contains(fails(1, 32, 228 * 1024), "dynamic shared memory"));
  float* none = nullptr;
  launch(on_null, add, 0, 32, 0, none, 1.f, 0);
  launch(on_null, add, 1, 32, 227 * 1024, none, 1.f, 0);
  wait_for_all();
}

BOOST_AUTO_TEST_CASE(out_of_memory) {
  void* p = nullptr;
  BOOST_CHECK_EXCEPTION(cuda::check(cudaMalloc(&p, size_t{1} << 50), "test"), Error,
                        [](const Error& e) { return e.kind() == ErrorKind::memory; });
  BOOST_TEST(cudaGetLastError() == cudaSuccess);
  wait_for_all();
}

BOOST_AUTO_TEST_CASE(graphs) {
  DeviceArray<float> x(std::vector<float>(5, 0.f));
  cudaStream_t main = nullptr, side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  cudaStreamCreate(&main);
  cudaStreamCreate(&side);
  cudaEventCreate(&fork);
  cudaEventCreate(&join);
  BOOST_TEST(cudaStreamBeginCapture(main, cudaStreamCaptureModeGlobal) == cudaSuccess);
  launch({main}, add, 1, 32, 0, x.p, 1.f, 5);
  cudaEventRecord(fork, main);
  cudaStreamWaitEvent(side, fork, 0);
  launch({side}, add, 1, 32, 0, x.p, 10.f, 5);
  cudaEventRecord(join, side);
  cudaStreamWaitEvent(main, join, 0);
  cudaMemcpyAsync(x.p + 4, x.p, 4, cudaMemcpyDeviceToDevice, main);
  BOOST_TEST(cudaStreamSynchronize(main) == cudaErrorStreamCaptureUnsupported);
  cudaGraph_t graph = nullptr;
  BOOST_TEST(cudaStreamEndCapture(main, &graph) == cudaSuccess);
  size_t nodes = 0;
  cudaGraphGetNodes(graph, nullptr, &nodes);
  BOOST_TEST(nodes == 3u);
  cudaGraphExec_t exec = nullptr;
  BOOST_TEST(cudaGraphInstantiate(&exec, graph, 0) == cudaSuccess);
  cudaGraphDestroy(graph);
  BOOST_TEST(x.read()[0] == 0.f);  // nothing ran yet
  for (int i = 0; i < 3; ++i) BOOST_TEST(cudaGraphLaunch(exec, main) == cudaSuccess);
  BOOST_TEST(cudaStreamSynchronize(main) == cudaSuccess);
  BOOST_TEST(x.read()[0] == 33.f);
  BOOST_TEST(x.read()[4] == 33.f);
  cudaGraphExecDestroy(exec);
  cudaEventDestroy(fork);
  cudaEventDestroy(join);
  cudaStreamDestroy(main);
  cudaStreamDestroy(side);
}

BOOST_AUTO_TEST_CASE(work_waits_until_asked_for) {
  DeviceArray<float> x(std::vector<float>(4, 0.f));
  cudaStream_t s = nullptr;
  cudaStreamCreate(&s);
  float* pinned = nullptr;
  cudaHostAlloc(reinterpret_cast<void**>(&pinned), 16, 0);
  launch({s}, add, 1, 32, 0, x.p, 5.f, 4);
  cudaMemcpyAsync(pinned, x.p, 16, cudaMemcpyDeviceToHost, s);
  BOOST_TEST(std::isnan(pinned[0]));
  cudaStreamSynchronize(s);
  BOOST_TEST(pinned[0] == 5.f);
  cudaFreeHost(pinned);
  cudaStreamDestroy(s);
}

BOOST_AUTO_TEST_CASE(random_words_as_on_the_cpu) {
  DeviceArray<int64_t> state(std::vector<int64_t>{12345, 6});
  DeviceArray<uint32_t> out(64);
  launch(on_null, draw, 1, 16, 0, out.p, state.p);
  const auto v = out.read();
  for (uint64_t i = 0; i < 64; ++i) BOOST_TEST(v[i] == Philox::bits(12345, 7, 6, i));
}

BOOST_AUTO_TEST_CASE(bad_data_is_reported_once) {
  DeviceArray<DeviceStatus> status(std::vector<DeviceStatus>{{-1, 0, 0}});
  Launch l;
  l.status = status.p;
  l.step = 3;
  launch(l, report_odd, 1, 64, 0, reporter(l));
  const DeviceStatus s = status.read()[0];
  BOOST_TEST(s.position % 2 == 1);
  BOOST_TEST(s.value == 100 + s.position);
  BOOST_TEST(s.step == 3);
}
