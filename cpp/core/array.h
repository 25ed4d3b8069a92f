#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/device.h"
#include "core/dtype.h"

namespace maas {

// A block of memory and whoever keeps it alive (our allocator, or an owner such as a NumPy array).
class Storage {
 public:
  // MemoryError if there is not enough.
  static std::shared_ptr<Storage> allocate(size_t bytes, Device device = {});
  static std::shared_ptr<Storage> wrap(void* data, size_t bytes, std::shared_ptr<void> owner, Device device = {});
  ~Storage();
  Storage(const Storage&) = delete;
  Storage& operator=(const Storage&) = delete;
  std::byte* data() const { return data_; }
  size_t bytes() const { return bytes_; }
  Device device() const { return device_; }

 private:
  Storage(std::byte* data, size_t bytes, std::shared_ptr<void> owner, Device device)
      : data_(data), bytes_(bytes), device_(device), owner_(std::move(owner)) {}
  std::byte* data_;
  size_t bytes_;
  Device device_;
  std::shared_ptr<void> owner_;  // empty: ours
};

// A dense row-major array with a shared buffer, in memory of the host or of a GPU. A value type: copies share the
// buffer.
struct Array {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::shared_ptr<Storage> storage;

  Array() = default;
  Array(DType dtype, std::vector<int64_t> shape, Device device = {});  // allocates, contents undefined
  int64_t size() const;
  size_t bytes() const { return static_cast<size_t>(byte_size(dtype, size())); }
  void* data() const { return storage ? storage->data() : nullptr; }
  template <class T>
  T* as() const {
    return static_cast<T*>(data());
  }
  explicit operator bool() const { return storage != nullptr; }
  Array clone() const;  // on the same device
  Device device() const { return storage ? storage->device() : Device{}; }
  // Itself if it is there, else a copy. From a GPU to the host waits for what is queued.
  Array to(Device device) const;
  Array host() const { return to({}); }
};

// A scalar or vector of numbers as an array of `dtype`; used for constants in gradients and for attributes.
Array make_scalar(DType dtype, double value);
// The element as a number, whatever the dtype and wherever it is (f64 f32 i8 u8 i16 i32 i64 u32 b8, bf16, f16).
// What one of these dtypes holds can be read and written element by element; not so i4, whose elements share a byte,
// and f8.
inline bool is_readable(DType dtype) { return bit_size(dtype) >= 8 && dtype != DType::f8 && dtype != DType::f8e5; }
double read_element(const Array& array, int64_t index);
void write_element(const Array& array, int64_t index, double value);

}  // namespace maas
