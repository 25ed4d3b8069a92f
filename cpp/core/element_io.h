#pragma once
// One element of any dtype, for plain references: read as double or int64, written from them.
#include <cstdint>
#include <limits>
#include <type_traits>

#include "core/dtype.h"
#include "core/half.h"

namespace maas {

template <class T>
T load_element(const void* p, DType t, int64_t i) {
  switch (t) {
    case DType::f64:
      return static_cast<T>(static_cast<const double*>(p)[i]);
    case DType::f32:
      return static_cast<T>(static_cast<const float*>(p)[i]);
    case DType::bf16:
      return static_cast<T>(bf16_to_f32(static_cast<const uint16_t*>(p)[i]));
    case DType::f16:
      return static_cast<T>(f16_to_f32(static_cast<const uint16_t*>(p)[i]));
    case DType::f8:
      return static_cast<T>(f8_to_f32(static_cast<const uint8_t*>(p)[i]));
    case DType::f8e5:
      return static_cast<T>(f8e5_to_f32(static_cast<const uint8_t*>(p)[i]));
    case DType::i8:
      return static_cast<T>(static_cast<const int8_t*>(p)[i]);
    case DType::u8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[i]);
    case DType::i4: {  // the even element is the low half of its byte
      const int half = static_cast<const uint8_t*>(p)[i / 2] >> (i % 2 * 4) & 15;
      return static_cast<T>(half >= 8 ? half - 16 : half);
    }
    case DType::i16:
      return static_cast<T>(static_cast<const int16_t*>(p)[i]);
    case DType::i32:
      return static_cast<T>(static_cast<const int32_t*>(p)[i]);
    case DType::i64:
      return static_cast<T>(static_cast<const int64_t*>(p)[i]);
    case DType::u32:
      return static_cast<T>(static_cast<const uint32_t*>(p)[i]);
    case DType::u16:
      return static_cast<T>(static_cast<const uint16_t*>(p)[i]);
    case DType::u64:
      return static_cast<T>(static_cast<const uint64_t*>(p)[i]);
    case DType::b8:
      return static_cast<T>(static_cast<const uint8_t*>(p)[i] != 0);
  }
  return T(0);
}

// Integers wrap as NumPy's do; a float is cut to the integer's range and NaN becomes 0, so that no value is undefined.
template <class I, class T>
I to_integer_element(T v) {
  if constexpr (std::is_floating_point_v<T>) {
    if (v != v) return 0;
    if (v >= static_cast<T>(std::numeric_limits<I>::max())) return std::numeric_limits<I>::max();
    if (v <= static_cast<T>(std::numeric_limits<I>::min())) return std::numeric_limits<I>::min();
  }
  return static_cast<I>(v);
}

template <class T>
void store_element(void* p, DType t, int64_t i, T v) {
  switch (t) {
    case DType::f64:
      static_cast<double*>(p)[i] = static_cast<double>(v);
      return;
    case DType::f32:
      static_cast<float*>(p)[i] = static_cast<float>(v);
      return;
    case DType::bf16:
      static_cast<uint16_t*>(p)[i] = f32_to_bf16(to_narrow_source(v));
      return;
    case DType::f16:
      static_cast<uint16_t*>(p)[i] = f32_to_f16(to_narrow_source(v));
      return;
    case DType::f8:
      static_cast<uint8_t*>(p)[i] = f32_to_f8(to_narrow_source(v));
      return;
    case DType::f8e5:
      static_cast<uint8_t*>(p)[i] = f32_to_f8e5(to_narrow_source(v));
      return;
    case DType::i8:
      static_cast<int8_t*>(p)[i] = to_integer_element<int8_t>(v);
      return;
    case DType::u8:
      static_cast<uint8_t*>(p)[i] = to_integer_element<uint8_t>(v);
      return;
    case DType::i4: {
      int whole;
      if constexpr (std::is_floating_point_v<T>)
        whole = v != v ? 0 : v >= 7 ? 7 : v <= -8 ? -8 : static_cast<int>(v);
      else
        whole = static_cast<int>(v & 15);
      uint8_t& byte = static_cast<uint8_t*>(p)[i / 2];
      const int shift = static_cast<int>(i % 2 * 4);
      byte = static_cast<uint8_t>((byte & (0xf0 >> shift)) | (whole & 15) << shift);
      return;
    }
    case DType::i16:
      static_cast<int16_t*>(p)[i] = to_integer_element<int16_t>(v);
      return;
    case DType::i32:
      static_cast<int32_t*>(p)[i] = to_integer_element<int32_t>(v);
      return;
    case DType::i64:
      static_cast<int64_t*>(p)[i] = to_integer_element<int64_t>(v);
      return;
    case DType::u32:
      static_cast<uint32_t*>(p)[i] = to_integer_element<uint32_t>(v);
      return;
    case DType::u16:
      static_cast<uint16_t*>(p)[i] = to_integer_element<uint16_t>(v);
      return;
    case DType::u64:
      static_cast<uint64_t*>(p)[i] = to_integer_element<uint64_t>(v);
      return;
    case DType::b8:
      static_cast<uint8_t*>(p)[i] = v != 0;
      return;
  }
}

}  // namespace maas
