#pragma once
#include <cstddef>
#include <cstdint>

#include "core/dtype.h"

namespace maas {

// A value as a kernel is about to see it: address, sizes and strides (in elements) with every symbol bound.
struct BoundValue {
  std::byte* data = nullptr;  // null for an output that nobody reads
  const int64_t* shape = nullptr;
  const int64_t* strides = nullptr;
  int rank = 0;
  DType dtype = DType::f32;

  int64_t size() const { return size(0, rank); }
  int64_t size(int begin, int end) const {
    int64_t n = 1;
    for (int i = begin; i < end; ++i) n *= shape[i];
    return n;
  }
};

// What an op fills its kernel's arguments from. Called when sizes or addresses change, never per run.
class Bind {
 public:
  Bind(const BoundValue* in, const BoundValue* out, std::byte* const* workspaces)
      : in_(in), out_(out), workspaces_(workspaces) {}
  const BoundValue& in(int i) const { return in_[i]; }
  const BoundValue& out(int i = 0) const { return out_[i]; }
  template <class T = void>
  const T* read(int i) const {
    return reinterpret_cast<const T*>(in_[i].data);
  }
  template <class T = void>
  T* write(int i = 0) const {
    return reinterpret_cast<T*>(out_[i].data);
  }
  template <class T = void>
  T* workspace(int i = 0) const {
    return reinterpret_cast<T*>(workspaces_[i]);
  }

 private:
  const BoundValue* in_;
  const BoundValue* out_;
  std::byte* const* workspaces_;
};

}  // namespace maas
