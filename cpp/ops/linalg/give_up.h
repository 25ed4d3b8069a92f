#pragma once
// Included before Eigen. Its decompositions have no way to be stopped; what they have is an assertion in front of every
// expression, which is a place to look at a flag. A product of two large matrices has none inside.
#include <atomic>
#include <string_view>

namespace maas {
namespace {

struct GivenUp {};

// Work that was left and did not end yet: as long as there is none, a look is one load.
std::atomic<int> left_behind{0};
// What the work of this thread looks at; null: it is never stopped.
thread_local const std::atomic<bool>* given_up = nullptr;

[[gnu::noinline, gnu::cold]] void look_closer() {
  if (given_up && given_up->load(std::memory_order_relaxed)) throw GivenUp();
}

// The assertions of single elements are too many.
constexpr bool is_of_one_element(std::string_view condition) {
  return condition.starts_with("row >= 0") || condition.starts_with("index >= 0");
}

template <bool kOfOneElement>
inline void look() {
  if constexpr (!kOfOneElement)
    if (left_behind.load(std::memory_order_relaxed)) look_closer();
}

}  // namespace
}  // namespace maas

#define eigen_assert(x) (false ? static_cast<void>(x) : maas::look<maas::is_of_one_element(#x)>())
