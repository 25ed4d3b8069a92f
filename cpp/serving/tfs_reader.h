// Reads the JSON of TensorFlow Serving's REST requests, in one pass and without recursion.
#pragma once

#include <string_view>

#include "serving/codec.h"

namespace maas::serving {

enum class TfsMethod : uint8_t { predict, classify, regress };

// Throws maas::Error for what is not a valid request. Sets `head.rows_form`.
void read_tfs_request(std::string_view text, TfsMethod method, const ModelInfo& info, InferHead& head, InferSink& sink);

}  // namespace maas::serving
