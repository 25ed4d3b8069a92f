// Tensor datatypes of the Open Inference Protocol: one row per type. An element of BYTES is a `Bytes` in memory.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

namespace maas::serving {

// X(enumerator, protocol name, bytes per element)
#define MAAS_SERVING_DATATYPES(X) \
  X(boolean, "BOOL", 1)           \
  X(uint8, "UINT8", 1)            \
  X(uint16, "UINT16", 2)          \
  X(uint32, "UINT32", 4)          \
  X(uint64, "UINT64", 8)          \
  X(int8, "INT8", 1)              \
  X(int16, "INT16", 2)            \
  X(int32, "INT32", 4)            \
  X(int64, "INT64", 8)            \
  X(fp16, "FP16", 2)              \
  X(bf16, "BF16", 2)              \
  X(fp32, "FP32", 4)              \
  X(fp64, "FP64", 8)              \
  X(bytes, "BYTES", 16)

enum class Datatype : uint8_t {
#define MAAS_ROW(id, name, size) id,
  MAAS_SERVING_DATATYPES(MAAS_ROW)
#undef MAAS_ROW
};

// A string of any bytes that somebody else owns: the request for inputs, the batch for outputs.
struct Bytes {
  const char* data = nullptr;
  uint64_t size = 0;
  std::string_view view() const { return {data, static_cast<size_t>(size)}; }
};
static_assert(sizeof(Bytes) == 16);

struct DatatypeRow {
  std::string_view name;
  size_t size;
};

inline constexpr std::array kDatatypes = {
#define MAAS_ROW(id, name, size) DatatypeRow{name, size},
    MAAS_SERVING_DATATYPES(MAAS_ROW)
#undef MAAS_ROW
};

constexpr std::string_view datatype_name(Datatype t) { return kDatatypes[static_cast<size_t>(t)].name; }
constexpr size_t datatype_size(Datatype t) { return kDatatypes[static_cast<size_t>(t)].size; }

constexpr std::optional<Datatype> find_datatype(std::string_view name) {
  for (size_t i = 0; i < kDatatypes.size(); ++i) {
    if (kDatatypes[i].name == name) return static_cast<Datatype>(i);
  }
  return std::nullopt;
}

}  // namespace maas::serving
