#include "core/array.h"

#include <bit>
#include <cstring>

#include "core/allocator.h"
#include "core/element_io.h"
#include "core/error.h"
#include "core/gpu.h"

namespace maas {

std::shared_ptr<Storage> Storage::allocate(size_t bytes, Device device) {
  void* data = device.is_cpu() ? HostAllocator::instance().allocate(bytes) : gpu().allocate(device.index, bytes);
  return std::shared_ptr<Storage>(new Storage(static_cast<std::byte*>(data), bytes, nullptr, device));
}

std::shared_ptr<Storage> Storage::wrap(void* data, size_t bytes, std::shared_ptr<void> owner, Device device) {
  return std::shared_ptr<Storage>(new Storage(static_cast<std::byte*>(data), bytes, std::move(owner), device));
}

Storage::~Storage() {
  if (owner_) return;
  if (device_.is_cpu()) {
    HostAllocator::instance().deallocate(data_, bytes_);
    return;
  }
  try {
    gpu().deallocate(device_.index, data_, bytes_);
  } catch (...) {  // the child of a fork: the memory is the parent's
  }
}

Array::Array(DType dtype, std::vector<int64_t> shape, Device device) : dtype(dtype), shape(std::move(shape)) {
  int64_t count = 1;
  for (int64_t s : this->shape) {
    check(s >= 0, "a size cannot be negative, received ", s);
    if (__builtin_mul_overflow(count, s, &count) || count > (int64_t{1} << 56))
      fail(ErrorKind::memory, "an array of more than 2^56 elements was asked for");
  }
  storage = Storage::allocate(bytes(), device);
}

int64_t Array::size() const {
  int64_t count = 1;
  for (int64_t s : shape) count *= s;
  return count;
}

Array Array::clone() const {
  const Device place = device();
  Array copy(dtype, shape, place);
  if (place.is_cpu())
    std::memcpy(copy.data(), data(), bytes());
  else
    gpu().copy(place.index, copy.data(), data(), bytes());
  return copy;
}

Array Array::to(Device there) const {
  const Device here = device();
  if (!storage || here == there) return *this;
  if (!here.is_cpu() && !there.is_cpu()) return host().to(there);
  Array copy(dtype, shape, there);
  if (here.is_cpu())
    gpu().upload(there.index, copy.data(), data(), bytes());
  else
    gpu().download(here.index, copy.data(), data(), bytes());
  return copy;
}

Array make_scalar(DType dtype, double value) {
  Array a(dtype, {});
  write_element(a, 0, value);
  return a;
}

double read_element(const Array& a, int64_t i) {
  if (!a.device().is_cpu()) return read_element(a.host(), i);
  return load_element<double>(a.data(), a.dtype, i);
}
void write_element(const Array& a, int64_t i, double v) { store_element(a.data(), a.dtype, i, v); }

}  // namespace maas
