#include "core/dtype.h"

#include <array>
#include <atomic>
#include <bit>

#include "core/error.h"
#include "core/weak_types.h"

namespace maas {
namespace {

struct Info {
  DType dtype;
  const char* name;
  int64_t bits;
  bool floating;
};

constexpr std::array<Info, 13> kInfos = {{
    {DType::f64, "float64", 64, true},
    {DType::f32, "float32", 32, true},
    {DType::bf16, "bfloat16", 16, true},
    {DType::f16, "float16", 16, true},
    {DType::f8, "float8_e4m3fn", 8, true},
    {DType::i8, "int8", 8, false},
    {DType::u8, "uint8", 8, false},
    {DType::i4, "int4", 4, false},
    {DType::i16, "int16", 16, false},
    {DType::i32, "int32", 32, false},
    {DType::i64, "int64", 64, false},
    {DType::u32, "uint32", 32, false},
    {DType::b8, "bool", 8, false},
}};

const Info& info(DType dtype) { return kInfos[static_cast<size_t>(dtype)]; }

// The promotion lattice of Keras (that of JAX, without weak types, and with int64 + float32 = float32), as sets of
// types each type can become; the join of two types is the first common one.
int rank(DType t) {
  switch (t) {
    case DType::b8:
      return 0;
    case DType::i4:
      return 1;
    case DType::u8:
      return 2;
    case DType::i8:
      return 3;
    case DType::i16:
      return 4;
    case DType::u32:
      return 5;
    case DType::i32:
      return 6;
    case DType::i64:
      return 7;
    case DType::f8:
      return 8;
    case DType::f16:
      return 9;
    case DType::bf16:
      return 10;
    case DType::f32:
      return 11;
    case DType::f64:
      return 12;
  }
  return 0;
}

}  // namespace

int64_t bit_size(DType dtype) { return info(dtype).bits; }
bool is_floating(DType dtype) { return info(dtype).floating; }
bool is_integer(DType dtype) { return !info(dtype).floating && dtype != DType::b8; }
const char* to_string(DType dtype) { return info(dtype).name; }
std::ostream& operator<<(std::ostream& out, DType dtype) { return out << to_string(dtype); }

DType parse_dtype(std::string_view name) {
  for (const Info& i : kInfos)
    if (name == i.name) return i.dtype;
  fail(ErrorKind::type, "unknown dtype, received '", name, "'");
}

DType promote(DType a, DType b) {
  if (a == DType::f8 || b == DType::f8)
    fail(ErrorKind::value, "float8_e4m3fn meets no other dtype by itself; cast it first, received ", a, " and ", b);
  if (a == b) return a;
  if (rank(a) > rank(b)) std::swap(a, b);  // b is the higher
  if (is_floating(b)) {
    if (a == DType::f16 && b == DType::bf16) return DType::f32;
    return b;
  }
  // Signed with unsigned of the same or larger width needs the next signed width.
  if (a == DType::u8 && b == DType::i8) return DType::i16;
  if (a == DType::i4 && b == DType::u8) return DType::i16;
  if (b == DType::u32 && a != DType::b8 && a != DType::u8) return DType::i64;
  if (a == DType::u32 && b == DType::i32) return DType::i64;
  return b;
}

namespace {
std::atomic<DType> default_float_dtype{DType::f32};
}
DType default_float() { return default_float_dtype.load(std::memory_order_relaxed); }
void set_default_float(DType dtype) { default_float_dtype.store(dtype, std::memory_order_relaxed); }

DType promote_weak(std::optional<DType> common, bool weak_int, bool weak_float) {
  const DType real = default_float();
  const bool short_float = bit_size(real) == 16;
  if (common && is_floating(*common)) return *common;
  // Keras gives a weak float its size, not its kind: 16 bits are float16.
  if (weak_float) return short_float ? DType::f16 : real;
  if (weak_int && (!common || *common == DType::b8))
    return short_float ? DType::i16 : bit_size(real) == 64 ? DType::i64 : DType::i32;
  return common.value_or(DType::b8);
}

}  // namespace maas
