#pragma once
// Kernels from text, compiled by NVRTC for the GPU in use when they are first asked for. What was compiled stays with
// the process and in the user's cache folder ($MAAS_CACHE_DIR, $XDG_CACHE_HOME/maas or ~/.cache/maas; an empty
// $MAAS_CACHE_DIR: nowhere).
#include <cuda_runtime.h>

#include <string>

#include "core/launch.h"

namespace maas::cuda {

// Of NVRTC, beside the architecture.
inline constexpr const char* kTextOptions[] = {"--std=c++20", "--ftz=true", "--fmad=false",
                                               "--device-as-default-execution-space", "--disable-warnings"};

// A loaded kernel; lives as long as the process.
struct TextKernel {
  const void* function = nullptr;
};

// The kernel of a text that defines `extern "C" __global__ void name(const Params)` for a struct of its own, visible
// in the global namespace. Denormal float32 numbers are 0 in it, as on the CPU, and nothing is contracted. Thread-safe;
// may be called while a stream is captured. RuntimeError with the compiler's words if it does not compile. In the
// emulator the host's compiler makes it, and its threads run one after the other: no barriers, no warps.
TextKernel compile_kernel(const std::string& source, const char* name);

// Queues the kernel; `params` is its Params.
void launch(const Launch& l, TextKernel kernel, dim3 grid, dim3 block, const void* params, size_t bytes);

// Compiles for an architecture such as "sm_90", without a GPU. RuntimeError as above.
std::string compile_text(const std::string& source, const std::string& architecture, bool ptx = false);

}  // namespace maas::cuda
