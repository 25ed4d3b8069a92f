#include "cuda/launch.h"

namespace maas::cuda {
namespace {

std::string words(cudaError_t result) {
  std::string all = text(cudaGetErrorName(result), ", ", cudaGetErrorString(result));
#ifdef MAAS_CUDA_EMULATE
  if (const std::string more = emulator::detail(); !more.empty()) all += ": " + more;
#endif
  return all;
}

}  // namespace

void check(cudaError_t result, const char* what) {
  if (result == cudaSuccess) return;
  const std::string received = words(result);
  (void)cudaGetLastError();  // only errors that the device cannot get over stay
  switch (result) {
    case cudaErrorMemoryAllocation:
      fail(ErrorKind::memory, "CUDA: ", what, ": the GPU is out of memory, received ", received);
    case cudaErrorNoDevice:
    case cudaErrorInsufficientDriver:
      fail(ErrorKind::runtime, "CUDA: ", what, ": no usable GPU or driver, received ", received);
    case cudaErrorNoKernelImageForDevice:
    case cudaErrorInvalidDeviceFunction:
      fail(ErrorKind::runtime, "CUDA: ", what,
           ": this build has no code for the architecture of this GPU (it needs Hopper, sm_90), received ", received);
    case cudaErrorIllegalAddress:
    case cudaErrorMisalignedAddress:
    case cudaErrorIllegalInstruction:
    case cudaErrorInvalidAddressSpace:
    case cudaErrorInvalidPc:
    case cudaErrorHardwareStackError:
    case cudaErrorLaunchFailure:
    case cudaErrorLaunchTimeout:
    case cudaErrorAssert:
    case cudaErrorECCUncorrectable:
    case cudaErrorDevicesUnavailable:
      fail(ErrorKind::runtime, "CUDA: ", what,
           ": the GPU stopped with an error that this process cannot undo for it; the CPU can still be used, received ",
           received);
    default:
      fail(ErrorKind::runtime, "CUDA: ", what, " failed, received ", received);
  }
}

}  // namespace maas::cuda
