#include "core/dtype.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <optional>

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

constexpr std::array<Info, 16> kInfos = {{
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
    {DType::f8e5, "float8_e5m2", 8, true},
    {DType::u16, "uint16", 16, false},
    {DType::u64, "uint64", 64, false},
}};

const Info& info(DType dtype) { return kInfos[static_cast<size_t>(dtype)]; }

}  // namespace

int64_t bit_size(DType dtype) { return info(dtype).bits; }
bool is_floating(DType dtype) { return info(dtype).floating; }
namespace {
bool is_unsigned(DType dtype) {
  return dtype == DType::u8 || dtype == DType::u16 || dtype == DType::u32 || dtype == DType::u64;
}
}  // namespace
bool is_integer(DType dtype) { return !info(dtype).floating && dtype != DType::b8; }
const char* to_string(DType dtype) { return info(dtype).name; }
std::ostream& operator<<(std::ostream& out, DType dtype) { return out << to_string(dtype); }

DType parse_dtype(std::string_view name) {
  for (const Info& i : kInfos)
    if (name == i.name) return i.dtype;
  fail(ErrorKind::type, "unknown dtype, received '", name, "'");
}

// Keras's lattice (that of JAX): bool < unsigned < signed < floating; a kind wins over the kinds below it. Two
// integers meet at the narrowest that holds both, uint64 with a signed one at a float of no size: the default float.
DType promote(DType a, DType b) {
  for (DType t : {a, b})
    if (t == DType::f8 || t == DType::f8e5)
      fail(ErrorKind::value, t, " meets no other dtype by itself; cast it first, received ", a, " and ", b);
  if (a == b || b == DType::b8) return a;
  if (a == DType::b8) return b;
  if (is_floating(a) || is_floating(b)) {
    if (!is_floating(b)) return a;
    if (!is_floating(a)) return b;
    if (bit_size(a) == bit_size(b)) return DType::f32;  // bfloat16 and float16
    return bit_size(a) > bit_size(b) ? a : b;
  }
  const bool unsigned_a = is_unsigned(a), unsigned_b = is_unsigned(b);
  if (unsigned_a == unsigned_b) return bit_size(a) > bit_size(b) ? a : b;
  const DType whole = unsigned_a ? a : b, with_sign = unsigned_a ? b : a;
  if (whole == DType::u64) return default_float();
  const int64_t bits = std::max(bit_size(whole) * 2, bit_size(with_sign));
  return bits == 16 ? DType::i16 : bits == 32 ? DType::i32 : DType::i64;
}

namespace {
std::atomic<DType> default_float_dtype{DType::f32};
}
DType default_float() { return default_float_dtype.load(std::memory_order_relaxed); }
void set_default_float(DType dtype) { default_float_dtype.store(dtype, std::memory_order_relaxed); }

DType promote(const std::vector<DType>& dtypes, bool weak_int, bool weak_float) {
  std::optional<DType> common;
  bool longest = false, with_sign = false;
  for (DType t : dtypes) {
    longest = longest || t == DType::u64;
    with_sign = with_sign || (is_integer(t) && !is_unsigned(t));
  }
  for (DType t : dtypes) {
    // Where a floating dtype is met, it alone says how wide the result is, so integers that meet at a float wait.
    if (longest && with_sign && is_integer(t)) continue;
    common = common ? promote(*common, t) : t;
  }
  weak_float = weak_float || (longest && with_sign);
  const DType real = default_float();
  const bool half = bit_size(real) == 16;
  if (common && is_floating(*common)) return *common;
  // Keras gives a weak float its size, not its kind: 16 bits are float16.
  if (weak_float) return half ? DType::f16 : real;
  if (weak_int && (!common || *common == DType::b8))
    return half ? DType::i16 : bit_size(real) == 64 ? DType::i64 : DType::i32;
  return common.value_or(DType::b8);
}

}  // namespace maas
