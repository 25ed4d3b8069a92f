// The safetensors container (format 0.4): 8 bytes of header length, a JSON header, then the bytes of all tensors.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/array.h"

namespace maas {

struct Safetensors {
  std::map<std::string, std::string> metadata;
  std::map<std::string, Array> tensors;
  // As read, to be compared with the metadata of the same names: of the tensor bytes, and of the other metadata and the
  // names, dtypes and shapes of the tensors.
  std::string sha256, sha256_header;
};

// Reads the whole file into memory: nothing depends on it afterwards. Offsets must cover the data without gaps or
// overlaps, shapes must agree with them. Throws Error(value) for anything else, Error(runtime) if it cannot be opened,
// Error(memory).
Safetensors read_safetensors(const std::string& path);

// What to write: the header with its length, then the tensors in `order`. The metadata gets "sha256" and
// "sha256_header".
struct SafetensorsLayout {
  std::string header;
  std::vector<size_t> order;
};
SafetensorsLayout lay_out_safetensors(std::map<std::string, std::string> metadata,
                                      const std::vector<std::pair<std::string, Array>>& tensors);

}  // namespace maas
