#pragma once
// The emulated GPU, as its own files and tests see it.
#include <cuda_runtime.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>

namespace maas::cuda::emulator {

constexpr size_t kSharedPerBlock = 227 * 1024;  // that a kernel may ask for
constexpr size_t kSharedDefault = 48 * 1024;    // without asking
constexpr unsigned kMaxThreads = 1024;
constexpr unsigned char kPoison = 0xff;  // in every byte of fresh memory: NaN in all floating types

struct KernelLaunch {
  const void* kernel;
  dim3 grid, block;
  size_t shared;
  cudaStream_t stream;
  std::function<void()> thread;  // runs one thread
};
// Checks the limits and queues.
cudaError_t launch(KernelLaunch launch);

// What was wrong, in words, with the last call or kernel that failed; empty if the code says all.
std::string detail();

// ---- between the emulator's files

std::recursive_mutex& lock();
// Error of a call: remembered for cudaGetLastError. Errors of kernels stay, and every later call returns them.
cudaError_t failed(cudaError_t error, const std::string& detail = {});
cudaError_t device_error();
void set_device_error(cudaError_t error, const std::string& detail);
void clear_device_error();

struct KernelResult {
  cudaError_t error = cudaSuccess;
  std::string what;
};
KernelResult run_grid(const KernelLaunch& launch);
std::string kernel_name(const void* kernel);

void enqueue(cudaStream_t stream, std::function<void()> work);
// Runs what is queued, all of it or that of one stream.
void run_all();
void run_stream(cudaStream_t stream);
bool capturing(cudaStream_t stream);
bool capturing_any();

// Guard bytes around allocations: sets the device's error if someone wrote there. `after`: name of a kernel, or empty.
void check_guards(const std::function<std::string()>& after);
size_t allocation_count();

// Pages of shared variables that the kernel was seen to use are poisoned before each block.
void poison_static_shared(const void* kernel);
void learn_static_shared(const void* kernel);

}  // namespace maas::cuda::emulator
