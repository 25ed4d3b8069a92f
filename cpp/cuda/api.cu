// GpuApi on the CUDA runtime.
#include <array>
#include <cstring>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "core/gpu.h"
#include "cuda/launch.h"

namespace maas::cuda {
namespace {

constexpr size_t kStage = size_t{1} << 20;  // bytes of a pinned block; larger transfers go in pieces
constexpr int kStages = 8;

// Pinned memory that transfers pass through: copies to and from it do not wait for the stream.
struct Stage {
  void* data = nullptr;
  cudaEvent_t done = nullptr;
  bool used = false;
};

// Sizes of blocks: few, so that what one array leaves another takes.
size_t block_size(size_t bytes) {
  const size_t grain = bytes <= (size_t{1} << 20) ? 512 : size_t{2} << 20;
  return bytes ? (bytes + grain - 1) / grain * grain : grain;
}

// Asking CUDA for a GPU's properties takes about a millisecond, and every context wants to know them.
GpuInfo ask_info(int gpu) {
  cudaDeviceProp p{};
  check(cudaGetDeviceProperties(&p, gpu), "device properties");
  GpuInfo info{p.name, static_cast<int64_t>(p.totalGlobalMem), p.major, p.minor, p.multiProcessorCount, false};
#ifdef MAAS_CUDA_EMULATE
  info.emulated = true;
#endif
  return info;
}

struct Gpu {
  GpuInfo info;
  std::mutex mutex;  // guards the stages
  // Blocks that were freed, by size. All work is in one stream, so the next owner may have one at once. Asking CUDA's
  // pool instead costs the host tens of microseconds for large blocks.
  std::mutex blocks_mutex;
  std::unordered_map<size_t, std::vector<void*>> blocks;
  int64_t used = 0, most = 0, idle = 0, total = 0;  // bytes
  cudaStream_t stream = nullptr;
  cudaMemPool_t pool = nullptr;
  std::array<Stage, kStages> stages;
  int next = 0;
};

class Api final : public GpuApi {
 public:
  int count() override {
    int n = 0;
    const cudaError_t result = cudaGetDeviceCount(&n);
    if (result == cudaErrorNoDevice) return 0;
    if (result != cudaSuccess)
      fail(ErrorKind::runtime, "no GPU: the driver does not answer, received: ", cudaGetErrorString(result));
    return n;
  }

  GpuInfo info(int gpu) override { return at(gpu).info; }
  void* allocate(int gpu, size_t bytes) override {
    Gpu& g = at(gpu);
    const size_t size = block_size(bytes);
    std::lock_guard guard(g.blocks_mutex);
    const auto count = [&](void* block) {
      g.used += static_cast<int64_t>(size);
      g.most = g.used > g.most ? g.used : g.most;
      return block;
    };
    if (auto it = g.blocks.find(size); it != g.blocks.end() && !it->second.empty()) {
      void* const block = it->second.back();
      it->second.pop_back();
      g.idle -= static_cast<int64_t>(size);
      return count(block);
    }
    // What lies idle in other sizes may be what is missing.
    if (g.idle + static_cast<int64_t>(size) > g.total / 2) give_back(g);
    void* p = nullptr;
    cudaError_t result = cudaMallocFromPoolAsync(&p, size, g.pool, g.stream);
    if (result == cudaErrorMemoryAllocation) {  // what was freed may lie in pieces: give it back and ask again
      cudaGetLastError();
      give_back(g);
      cudaStreamSynchronize(g.stream);
      cudaMemPoolTrimTo(g.pool, 0);
      result = cudaMallocFromPoolAsync(&p, size, g.pool, g.stream);
    }
    if (result == cudaErrorMemoryAllocation) {
      cudaGetLastError();  // not sticky: the next call must not see it
      size_t free = 0, total = 0;
      cudaMemGetInfo(&free, &total);
      fail(ErrorKind::memory, "gpu:", gpu, ": ", bytes, " bytes are not there (", free, " of ", total,
           " are free), received a request for them");
    }
    check(result, "allocation");
    return count(p);
  }
  void deallocate(int gpu, void* p, size_t bytes) noexcept override {
    if (!p) return;
    try {
      Gpu& g = at(gpu);
      const size_t size = block_size(bytes);
      std::lock_guard guard(g.blocks_mutex);
      g.used -= static_cast<int64_t>(size);
#ifdef MAAS_CUDA_EMULATE  // it looks at the surroundings of what is freed
      cudaFreeAsync(p, g.stream);
#else
      g.blocks[size].push_back(p);
      g.idle += static_cast<int64_t>(size);
#endif
    } catch (...) {  // at the end of the process CUDA may be gone already
    }
  }
  std::pair<int64_t, int64_t> memory(int gpu) override {
    Gpu& g = at(gpu);
    std::lock_guard guard(g.blocks_mutex);
    return {g.used, g.most};
  }

  void upload(int gpu, void* to, const void* from, size_t bytes) override {
    Gpu& g = at(gpu);
    std::lock_guard guard(g.mutex);
    for (size_t done = 0; done < bytes; done += kStage) {
      const size_t n = bytes - done < kStage ? bytes - done : kStage;
      Stage& s = stage(g);
      std::memcpy(s.data, static_cast<const char*>(from) + done, n);
      check(cudaMemcpyAsync(static_cast<char*>(to) + done, s.data, n, cudaMemcpyHostToDevice, g.stream), "upload");
      check(cudaEventRecord(s.done, g.stream), "upload");
      s.used = true;
    }
  }
  void download(int gpu, void* to, const void* from, size_t bytes) override {
    Gpu& g = at(gpu);
    std::lock_guard guard(g.mutex);
    // Two pieces at a time: one is copied out of pinned memory while the next is under way.
    Stage* before = nullptr;
    size_t at_before = 0, n_before = 0;
    for (size_t done = 0; done < bytes; done += kStage) {
      const size_t n = bytes - done < kStage ? bytes - done : kStage;
      Stage& s = stage(g);
      check(cudaMemcpyAsync(s.data, static_cast<const char*>(from) + done, n, cudaMemcpyDeviceToHost, g.stream),
            "download");
      check(cudaEventRecord(s.done, g.stream), "download");
      s.used = true;
      if (before) take(*before, static_cast<char*>(to) + at_before, n_before);
      before = &s, at_before = done, n_before = n;
    }
    if (before) take(*before, static_cast<char*>(to) + at_before, n_before);
  }
  void copy(int gpu, void* to, const void* from, size_t bytes, void* stream) override {
    Gpu& g = at(gpu);
    if (bytes) check(cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, pick(g, stream)), "copy");
  }
  void fill(int gpu, void* to, int byte, size_t bytes, void* stream) override {
    Gpu& g = at(gpu);
    if (bytes) check(cudaMemsetAsync(to, byte, bytes, pick(g, stream)), "fill");
  }
  void synchronize(int gpu) override { check(cudaStreamSynchronize(at(gpu).stream), "a run"); }
  void* stream(int gpu) override { return at(gpu).stream; }

  void* begin_capture(int gpu) override {
    at(gpu);
    cudaStream_t s = nullptr;
    check(cudaStreamCreateWithFlags(&s, cudaStreamNonBlocking), "stream");
    // Relaxed: other threads go on allocating and loading while this one records.
    const cudaError_t result = cudaStreamBeginCapture(s, cudaStreamCaptureModeRelaxed);
    if (result != cudaSuccess) cudaStreamDestroy(s);
    check(result, "recording a graph");
    return s;
  }
  void* end_capture(int gpu, void* stream) override {
    at(gpu);
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    const auto s = static_cast<cudaStream_t>(stream);
    cudaError_t result = cudaStreamEndCapture(s, &graph);
    if (result == cudaSuccess) result = cudaGraphInstantiate(&exec, graph, 0);
    if (graph) cudaGraphDestroy(graph);
    cudaStreamDestroy(s);
    check(result, "recording a graph");
    return exec;
  }
  void abandon_capture(int gpu, void* stream) noexcept override {
    try {
      at(gpu);
    } catch (...) {
      return;
    }
    cudaGraph_t graph = nullptr;
    cudaStreamEndCapture(static_cast<cudaStream_t>(stream), &graph);
    if (graph) cudaGraphDestroy(graph);
    cudaStreamDestroy(static_cast<cudaStream_t>(stream));
    cudaGetLastError();
  }
  void launch_graph(int gpu, void* graph) override {
    Gpu& g = at(gpu);
    check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph), g.stream), "graph");
  }
  void destroy_graph(int gpu, void* graph) noexcept override {
    try {
      at(gpu);
      cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph));
    } catch (...) {
    }
  }

  void* mark(int gpu) override {
    Gpu& g = at(gpu);
    cudaEvent_t e = nullptr;
    check(cudaEventCreate(&e), "event");
    check(cudaEventRecord(e, g.stream), "event");
    return e;
  }
  double elapsed_ns(int gpu, void* from, void* to) override {
    at(gpu);
    check(cudaEventSynchronize(static_cast<cudaEvent_t>(to)), "event");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, static_cast<cudaEvent_t>(from), static_cast<cudaEvent_t>(to)), "event");
    return static_cast<double>(ms) * 1e6;
  }
  void destroy_mark(int gpu, void* mark) noexcept override {
    try {
      at(gpu);
      cudaEventDestroy(static_cast<cudaEvent_t>(mark));
    } catch (...) {
    }
  }

 private:
  static cudaStream_t pick(Gpu& g, void* stream) { return stream ? static_cast<cudaStream_t>(stream) : g.stream; }

  // The GPU, current for this thread, with its stream and memory made on first use.
  Gpu& at(int gpu) {
    thread_local int current = -1;
    std::lock_guard guard(mutex_);
    auto& slot = gpus_[gpu];
    if (!slot) {
      const int n = count();
      if (gpu >= n) fail(ErrorKind::value, "this machine has ", n, " GPUs, received gpu:", gpu);
      slot = make(gpu);
    }
    if (current != gpu) {
      check(cudaSetDevice(gpu), "choosing a device");
      current = gpu;
    }
    return *slot;
  }
  std::unique_ptr<Gpu> make(int gpu) {
    auto g = std::make_unique<Gpu>();
    check(cudaSetDevice(gpu), "choosing a device");
    g->info = ask_info(gpu);
    check(cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking), "stream");
    check(cudaDeviceGetDefaultMemPool(&g->pool, gpu), "memory pool");
    uint64_t keep = UINT64_MAX;  // freed memory stays ours: giving it back would wait for the GPU
    check(cudaMemPoolSetAttribute(g->pool, cudaMemPoolAttrReleaseThreshold, &keep), "memory pool");
    size_t free = 0, total = 0;
    check(cudaMemGetInfo(&free, &total), "memory");
    g->total = static_cast<int64_t>(total);
    return g;
  }
  // Idle blocks go back to CUDA. g.blocks_mutex is held.
  static void give_back(Gpu& g) {
    for (auto& [size, list] : g.blocks)
      for (void* block : list) cudaFreeAsync(block, g.stream);
    g.blocks.clear();
    g.idle = 0;
  }
  // A pinned block that no transfer uses. g.mutex is held.
  Stage& stage(Gpu& g) {
    Stage& s = g.stages[static_cast<size_t>(g.next)];
    g.next = (g.next + 1) % kStages;
    if (!s.data) {
      check(cudaHostAlloc(&s.data, kStage, cudaHostAllocDefault), "pinned memory");
      check(cudaEventCreateWithFlags(&s.done, cudaEventDisableTiming), "event");
    }
    if (s.used) check(cudaEventSynchronize(s.done), "a run");
    s.used = false;
    return s;
  }
  static void take(Stage& s, char* to, size_t n) {
    check(cudaEventSynchronize(s.done), "a run");
    std::memcpy(to, s.data, n);
    s.used = false;
  }

  std::mutex mutex_;
  std::unordered_map<int, std::unique_ptr<Gpu>> gpus_;
};

// Never destroyed: arrays that statics hold are freed after everything else.
const bool registered = [] {
  register_gpu(new Api, MAAS_VERSION);
  return true;
}();

}  // namespace
}  // namespace maas::cuda
