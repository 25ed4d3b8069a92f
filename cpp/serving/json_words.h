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
  outputs,
  output,
  request_params,
  input_params,
  output_params,
  skip
};
enum class Key : uint8_t {
  other,
  id,
  parameters,
  inputs,
  outputs,
  name,
  shape,
  datatype,
  data,
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

struct KeyRow {
  std::string_view text;
  Key key;
};
inline constexpr KeyRow kKeys[] = {{"id", Key::id},
                                   {"parameters", Key::parameters},
                                   {"inputs", Key::inputs},
                                   {"outputs", Key::outputs},
                                   {"name", Key::name},
                                   {"shape", Key::shape},
                                   {"datatype", Key::datatype},
                                   {"data", Key::data},
                                   {"binary_data_size", Key::binary_data_size},
                                   {"binary_data", Key::binary_data},
                                   {"binary_data_output", Key::binary_data_output},
                                   {"timeout", Key::timeout},
                                   {"priority", Key::priority},
                                   {"sequence_id", Key::sequence_id},
                                   {"sequence_start", Key::sequence_start},
                                   {"sequence_end", Key::sequence_end},
                                   {"classification", Key::classification},
                                   {"shared_memory_region", Key::shared_memory_region}};

inline Key find_key(std::string_view text) {
  for (const KeyRow& r : kKeys) {
    if (r.text == text) return r.key;
  }
  return Key::other;
}

inline std::string_view key_text(Key k) {
  for (const KeyRow& r : kKeys) {
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
