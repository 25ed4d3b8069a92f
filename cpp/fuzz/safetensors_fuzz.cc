// libFuzzer: safetensors files. One that is taken must be what its header says.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>
#include <string>

#include "core/error.h"
#include "core/safetensors.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const int file = memfd_create("fuzz", MFD_CLOEXEC);
  static const std::string path = "/proc/self/fd/" + std::to_string(file);
  if (ftruncate(file, 0) != 0 || pwrite(file, data, size, 0) != static_cast<ssize_t>(size)) __builtin_trap();
  try {
    const maas::Safetensors content = maas::read_safetensors(path);
    size_t bytes = 0;
    for (const auto& [name, tensor] : content.tensors) bytes += static_cast<size_t>(tensor.bytes());
    if (bytes > size) __builtin_trap();
  } catch (const maas::Error&) {
  }
  return 0;
}
