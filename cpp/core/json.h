// JSON text to values and back: headers of model files. Strict RFC 8259, UTF-8, no repeated keys.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace maas::json {

struct Value;
using List = std::vector<Value>;
using Object = std::vector<std::pair<std::string, Value>>;  // in the order of the text

// A whole number that fits is an int64_t, any other number a double.
struct Value {
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, List, Object> data = nullptr;

  template <class T>
  const T* get() const {
    return std::get_if<T>(&data);
  }
  // The member of an object, or null if this is no object or has none of this name. Linear.
  const Value* find(std::string_view key) const;
};

// Throws Error(value) with the byte where the text is wrong. Lists and objects nest at most max_depth deep.
Value parse(std::string_view text, int max_depth = 64);

// Appends text to `out`.
void write_string(std::string& out, std::string_view text);
void write_number(std::string& out, double value);  // finite; the shortest text that reads back as the same number

}  // namespace maas::json
