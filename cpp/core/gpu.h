#pragma once
// GPUs as the engine sees them. The CUDA library implements this and hands it over when it is loaded, so that nothing
// else links CUDA.
#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

#include "core/launch.h"

namespace maas {

struct GpuInfo {
  std::string name;
  int64_t memory = 0;  // bytes
  int major = 0, minor = 0, multiprocessors = 0;
  bool emulated = false;
};

// Every GPU has one stream: what is queued runs in order, memory that is freed is used again in that order. All
// functions may be called from any thread. Failures throw Error; memory that is not there is Error(memory).
class GpuApi {
 public:
  virtual ~GpuApi() = default;
  virtual int count() = 0;
  virtual GpuInfo info(int gpu) = 0;

  virtual void* allocate(int gpu, size_t bytes) = 0;  // 256-byte aligned
  virtual void deallocate(int gpu, void* p, size_t bytes) noexcept = 0;
  virtual std::pair<int64_t, int64_t> memory(int gpu) = 0;  // bytes in use, and the most so far

  virtual void upload(int gpu, void* to, const void* from, size_t bytes) = 0;    // `from` may change once it returns
  virtual void download(int gpu, void* to, const void* from, size_t bytes) = 0;  // waits
  virtual void copy(int gpu, void* to, const void* from, size_t bytes, void* stream = nullptr) = 0;
  virtual void fill(int gpu, void* to, int byte, size_t bytes, void* stream = nullptr) = 0;
  virtual void synchronize(int gpu) = 0;
  virtual void* stream(int gpu) = 0;

  // What is queued on the stream that begin_capture gives is recorded; end_capture gives the graph.
  virtual void* begin_capture(int gpu) = 0;
  virtual void* end_capture(int gpu, void* stream) = 0;
  virtual void abandon_capture(int gpu, void* stream) noexcept = 0;
  virtual void launch_graph(int gpu, void* graph) = 0;
  virtual void destroy_graph(int gpu, void* graph) noexcept = 0;

  // Marks in the stream, for profiles.
  virtual void* mark(int gpu) = 0;
  virtual double elapsed_ns(int gpu, void* from, void* to) = 0;  // waits for `to`
  virtual void destroy_mark(int gpu, void* mark) noexcept = 0;
};

// Loads the CUDA library on first use. RuntimeError, saying why, where it is not built, finds no driver or no GPU, is
// of another version, or where this process is a fork of one that used it.
GpuApi& gpu();
// Why gpu() fails, or "" if it works.
std::string gpu_problem();
// By the CUDA library, while it is loaded.
void register_gpu(GpuApi* api, const char* version);

}  // namespace maas
