#include "core/array.h"

#include <bit>
#include <cstring>

#include "core/allocator.h"
#include "core/element_io.h"
#include "core/error.h"

namespace maas {

std::shared_ptr<Storage> Storage::allocate(size_t bytes) {
  auto* data = static_cast<std::byte*>(HostAllocator::instance().allocate(bytes));
  return std::shared_ptr<Storage>(new Storage(data, bytes, nullptr));
}

std::shared_ptr<Storage> Storage::wrap(void* data, size_t bytes, std::shared_ptr<void> owner) {
  return std::shared_ptr<Storage>(new Storage(static_cast<std::byte*>(data), bytes, std::move(owner)));
}

Storage::~Storage() {
  if (!owner_) HostAllocator::instance().deallocate(data_, bytes_);
}

Array::Array(DType dtype, std::vector<int64_t> shape) : dtype(dtype), shape(std::move(shape)) {
  int64_t count = 1;
  for (int64_t s : this->shape) {
    check(s >= 0, "a size cannot be negative, received ", s);
    if (__builtin_mul_overflow(count, s, &count) || count > (int64_t{1} << 56))
      fail(ErrorKind::memory, "an array of more than 2^56 elements was asked for");
  }
  storage = Storage::allocate(bytes());
}

int64_t Array::size() const {
  int64_t count = 1;
  for (int64_t s : shape) count *= s;
  return count;
}

Array Array::clone() const {
  Array copy(dtype, shape);
  std::memcpy(copy.data(), data(), bytes());
  return copy;
}

Array make_scalar(DType dtype, double value) {
  Array a(dtype, {});
  write_element(a, 0, value);
  return a;
}

double read_element(const Array& a, int64_t i) { return load_element<double>(a.data(), a.dtype, i); }
void write_element(const Array& a, int64_t i, double v) { store_element(a.data(), a.dtype, i, v); }

}  // namespace maas
