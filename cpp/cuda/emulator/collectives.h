#pragma once
// Where threads of an emulated block wait for each other.
#include <cuda_runtime.h>
#include <stdint.h>
#include <string.h>

namespace maas::cuda::emulator {

// Ends the running kernel with an error, as a fault on hardware does. Does not return when called from a kernel.
void fault(cudaError_t error, const char* what);
template <class T>
void aligned(const T* p) {
  if (reinterpret_cast<uintptr_t>(p) % alignof(T))
    fault(cudaErrorMisalignedAddress, "address is not aligned to its type");
}

void* dynamic_shared();

// Waits until every thread of the block that has not returned is here.
struct BarrierResult {
  int votes, threads;
};
BarrierResult barrier(int vote);

// Waits until every lane of `mask` that has not returned is here, with the same kind. The last to come calls
// complete(records of the 32 lanes, null where absent; lanes present).
enum class Meeting : uint8_t { sync, shuffle, vote, match, reduce, mma_bf16, mma_f16, mma_tf32, ldmatrix };
using Complete = void (*)(void* const* records, unsigned present);
void meet(unsigned mask, Meeting kind, void* record, Complete complete);

enum class Shuffle : uint8_t { index, exclusive_or, up, down };
uint64_t shuffle_bits(unsigned mask, uint64_t bits, Shuffle how, int argument, int width);
template <class T>
T shuffle(unsigned mask, T v, Shuffle how, int argument, int width) {
  static_assert(sizeof(T) <= 8, "a shuffle sends 4 or 8 bytes");
  uint64_t bits = 0;
  memcpy(&bits, &v, sizeof v);
  bits = shuffle_bits(mask, bits, how, argument, width);
  memcpy(static_cast<void*>(&v), &bits, sizeof v);
  return v;
}
struct VoteResult {
  unsigned yes, lanes;
};
VoteResult vote(unsigned mask, bool yes);
unsigned match(unsigned mask, uint64_t bits);
enum class Reduce : uint8_t { add, least, most, all, any, exclusive_or };
int64_t reduce(unsigned mask, int64_t v, Reduce how);

void mma_bf16(void* const* records, unsigned present);
void mma_f16(void* const* records, unsigned present);
void mma_tf32(void* const* records, unsigned present);
template <int N, bool kTrans>
void ldmatrix(void* const* records, unsigned present);

// Copies happen when they are waited for, no earlier, so that a missing wait shows.
void copy_start(void* to, const void* from, int bytes, bool read);
void copy_commit();
void copy_wait(int pending);

// For threads that look at shared memory again and again: lets the others go on. Where all do nothing else, and none
// calls progress(), the kernel has a deadlock.
void yield();
void progress();
// Barriers of some threads: arrivals, and how often all had come.
void named_arrive(int number, int threads);
uint64_t named_turn(int number);

}  // namespace maas::cuda::emulator
