#pragma once
#include <cstddef>
#include <cstdint>

namespace maas {

// Where kernels of a GPU report bad data (an index out of range), in memory of the GPU: the first offender wins.
struct DeviceStatus {
  long long position;  // flat position of the offending element in the index tensor; -1: none
  long long value;
  int step;  // that found it
};

// What a CUDA row gets besides its arguments, whose pointers are addresses of the GPU. Launches are queued and return;
// they may be recorded into a graph, so a row neither allocates nor waits, and reads nothing of `this` later.
struct Launch {
  void* stream = nullptr;   // cudaStream_t
  void* scratch = nullptr;  // as large as the row asked, 256-byte aligned; undefined contents
  DeviceStatus* status = nullptr;
  int step = 0;
  int multiprocessors = 132;
};

}  // namespace maas
