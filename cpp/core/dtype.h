#pragma once
#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace maas {

// All storage types. `b8` is bool, one byte, 0 or 1. f8 is e4m3, f8e5 is e5m2; i4 is packed two to a byte.
enum class DType : uint8_t { f64, f32, bf16, f16, f8, i8, u8, i4, i16, i32, i64, u32, b8, f8e5, u16, u64 };

int64_t bit_size(DType dtype);
inline int64_t byte_size(DType dtype, int64_t count) { return (bit_size(dtype) * count + 7) / 8; }
bool is_floating(DType dtype);
bool is_integer(DType dtype);  // bool is not an integer
// Keras names: float32, bfloat16, bool ...
const char* to_string(DType dtype);
DType parse_dtype(std::string_view name);  // TypeError for an unknown name
std::ostream& operator<<(std::ostream& out, DType dtype);
// The result of an operation on two tensors, as Keras's `result_type` gives it.
DType promote(DType a, DType b);

}  // namespace maas
