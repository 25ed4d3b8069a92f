// libFuzzer: the binary tensor extension, plain and compressed. The first two bytes say how long the JSON part is.
#include "fuzz/infer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  static constexpr const char* kEncodings[] = {"", "", "", "gzip", "deflate"};
  const size_t length = data[0] | static_cast<size_t>(data[1]) << 8;
  maas::serving::fuzzed().ask("/v2/models/affine/infer", {reinterpret_cast<const char*>(data) + 3, size - 3},
                              std::to_string(length), kEncodings[data[2] % 5]);
  return 0;
}
