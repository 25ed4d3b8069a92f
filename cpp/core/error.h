// The one exception type of the engine; bindings turn its kind into the Python class of the same meaning.
#pragma once

#include <stdexcept>
#include <string>

namespace maas {

enum class ErrorKind { value, type, index, not_implemented, memory, runtime, interrupted };

class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& text) : std::runtime_error(text), kind_(kind) {}
  ErrorKind kind() const noexcept { return kind_; }

 private:
  ErrorKind kind_;
};

}  // namespace maas
