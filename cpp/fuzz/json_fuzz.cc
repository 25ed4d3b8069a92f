// libFuzzer: requests in JSON, of the Open Inference Protocol and of TensorFlow Serving.
#include "fuzz/infer_fuzz.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  static constexpr const char* kTargets[] = {"/v2/models/affine/infer", "/v1/models/affine:predict",
                                             "/v1/models/affine:classify"};
  maas::serving::fuzzed().ask(kTargets[data[0] % 3], {reinterpret_cast<const char*>(data) + 1, size - 1}, std::nullopt);
  return 0;
}
