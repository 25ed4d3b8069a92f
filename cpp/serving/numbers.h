// Decimal text to tensor element and back, without locale and without a detour over double.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

namespace maas::serving {

enum class Parsed : uint8_t { ok, not_a_value, out_of_range };

// True if the decimal number is >= 1: tells overflow from underflow when from_chars only says "out of range".
inline bool decimal_is_large(std::string_view s) {
  int64_t exponent = 0, point = 0;
  bool seen = false, after_point = false, before_done = false;
  for (size_t i = 0; i < s.size(); ++i) {
    const char c = s[i];
    if (c == 'e' || c == 'E') {
      const char* p = s.data() + i + 1;
      if (*p == '+') ++p;
      if (std::from_chars(p, s.data() + s.size(), exponent).ec != std::errc()) return *p != '-';
      break;
    }
    if (c == '.') {
      after_point = true;
    } else if (c >= '0' && c <= '9') {
      if (c != '0') seen = true;
      if (!after_point && seen) ++point;
      if (after_point && !seen && !before_done) --point;
      if (after_point && seen) before_done = true;
    }
  }
  // Text of a request is far shorter than 2^40, so the clamp decides nothing; without it the sum could overflow.
  constexpr int64_t kFar = int64_t{1} << 40;
  return point + std::clamp(exponent, -kFar, kFar) > 0;
}

template <class T>
Parsed parse_element(std::string_view s, void* out) {
  T v{};
  if constexpr (std::is_same_v<T, bool>) {
    if (s == "true" || s == "1") {
      v = true;
    } else if (s == "false" || s == "0") {
      v = false;
    } else {
      return Parsed::not_a_value;
    }
  } else {
    if constexpr (std::is_floating_point_v<T>) {
      if (s == "NaN") {
        v = std::numeric_limits<T>::quiet_NaN();
        std::memcpy(out, &v, sizeof v);
        return Parsed::ok;
      }
      if (s == "Infinity" || s == "-Infinity") {
        v = s[0] == '-' ? -std::numeric_limits<T>::infinity() : std::numeric_limits<T>::infinity();
        std::memcpy(out, &v, sizeof v);
        return Parsed::ok;
      }
    }
    const auto r = std::from_chars(s.data(), s.data() + s.size(), v);
    if (r.ec == std::errc::result_out_of_range) {
      if (!std::is_floating_point_v<T> || decimal_is_large(s)) return Parsed::out_of_range;
      // Too small for T: the nearest value is a denormal that from_chars could not give, or zero.
      double d = 0;
      if (std::is_same_v<T, float>) (void)std::from_chars(s.data(), s.data() + s.size(), d);
      v = static_cast<T>(std::copysign(std::fabs(d), s[0] == '-' ? -1.0 : 1.0));
    } else if (r.ec != std::errc() || r.ptr != s.data() + s.size()) {
      return Parsed::not_a_value;
    }
    if constexpr (std::is_floating_point_v<T>) {
      if (!std::isfinite(v)) return Parsed::out_of_range;
    }
  }
  std::memcpy(out, &v, sizeof v);
  return Parsed::ok;
}

inline constexpr size_t kMaxElementText = 28;

template <class T>
char* print_element(const void* in, char* p) {
  T v;
  std::memcpy(&v, in, sizeof v);
  const auto word = [&](std::string_view w) {
    return static_cast<char*>(std::memcpy(p, w.data(), w.size())) + w.size();
  };
  if constexpr (std::is_same_v<T, bool>) return word(v ? "true" : "false");
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(v)) return word("NaN");
    if (std::isinf(v)) return word(v < 0 ? "-Infinity" : "Infinity");
    // "-0" is the integer 0 to most JSON readers, and the sign would be lost.
    if (v == 0 && std::signbit(v)) return word("-0.0");
  }
  if constexpr (!std::is_same_v<T, bool>) return std::to_chars(p, p + kMaxElementText, v).ptr;
  return p;
}

}  // namespace maas::serving
