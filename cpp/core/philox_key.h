#pragma once
// What Philox counts with: the key of a (seed, stream), then the step. For kernels, which see no C++ library.
#include <cstdint>

#include "core/dtype.h"

namespace maas {

struct PhiloxKey {
  uint32_t key[2], step[2];
};
// From the two elements of a state tensor, seed and step. As the constructor of Philox does.
PhiloxKey philox_key(const void* state, DType state_dtype, int64_t stream);

}  // namespace maas
