// The one exception type of the engine; bindings turn its kind into the Python class of the same meaning.
#pragma once
#include <sstream>
#include <stdexcept>
#include <string>

namespace maas {

// ValueError, TypeError, IndexError, NotImplementedError, MemoryError, RuntimeError, KeyboardInterrupt.
enum class ErrorKind { value, type, index, not_implemented, memory, runtime, interrupted };

class __attribute__((visibility("default"))) Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

// Joins the parts into one text. Error texts name layer or op and shapes, and end with what was received.
template <class... Parts>
std::string text(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}

template <class... Parts>
[[noreturn]] void fail(ErrorKind kind, const Parts&... parts) {
  throw Error(kind, text(parts...));
}

template <class... Parts>
void check(bool ok, const Parts&... parts) {
  if (!ok) [[unlikely]]
    fail(ErrorKind::value, parts...);
}

}  // namespace maas
