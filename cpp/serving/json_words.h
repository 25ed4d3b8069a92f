// The words of an inference request in JSON: where the reader is, what a key means, what a value is.
#pragma once

#include <cstdint>
#include <iterator>
#include <string>
#include <string_view>

#include "serving/failure.h"

namespace maas::serving {

enum class At : uint8_t {
  top,
  root,
  inputs,
  input,
  shape,
  data,
  base64,  // an object in data
  outputs,
  output,
  request_params,
  input_params,
  output_params,
  skip
};
enum class JsonKey : uint8_t {
  other,
  id,
  parameters,
  inputs,
  outputs,
  name,
  shape,
  datatype,
  data,
  b64,
  binary_data_size,
  binary_data,
  binary_data_output,
  timeout,
  priority,
  sequence_id,
  sequence_start,
  sequence_end,
  classification,
  shared_memory_region
};

struct JsonKeyRow {
  std::string_view text;
  JsonKey key;
};
inline constexpr JsonKeyRow kKeys[] = {{"id", JsonKey::id},
                                       {"parameters", JsonKey::parameters},
                                       {"inputs", JsonKey::inputs},
                                       {"outputs", JsonKey::outputs},
                                       {"name", JsonKey::name},
                                       {"shape", JsonKey::shape},
                                       {"datatype", JsonKey::datatype},
                                       {"data", JsonKey::data},
                                       {"b64", JsonKey::b64},
                                       {"binary_data_size", JsonKey::binary_data_size},
                                       {"binary_data", JsonKey::binary_data},
                                       {"binary_data_output", JsonKey::binary_data_output},
                                       {"timeout", JsonKey::timeout},
                                       {"priority", JsonKey::priority},
                                       {"sequence_id", JsonKey::sequence_id},
                                       {"sequence_start", JsonKey::sequence_start},
                                       {"sequence_end", JsonKey::sequence_end},
                                       {"classification", JsonKey::classification},
                                       {"shared_memory_region", JsonKey::shared_memory_region}};

inline JsonKey find_key(std::string_view text) {
  for (const JsonKeyRow& r : kKeys) {
    if (r.text == text) return r.key;
  }
  return JsonKey::other;
}

inline std::string_view key_text(JsonKey k) {
  for (const JsonKeyRow& r : kKeys) {
    if (r.key == k) return r.text;
  }
  return "";
}

enum class Kind : uint8_t { string, number, boolean, null };

inline void once(bool& flag, const char* what) {
  if (flag) refuse(std::string("'") + what + "' is given twice");
  flag = true;
}

}  // namespace maas::serving
