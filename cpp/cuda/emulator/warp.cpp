// Collectives of an emulated warp: what the last lane to come does for all of them.
#include <algorithm>
#include <bit>

#include "core/half.h"
#include "cuda/emulator/collectives.h"
#include "cuda/emulator/device.h"
#include "cuda/platform.h"

namespace maas::cuda {
namespace emulator {
namespace {

struct ShuffleRecord {
  uint64_t bits, result;
  Shuffle how;
  int argument, width;
};

void complete_shuffle(void* const* records, unsigned present) {
  for (int l = 0; l < 32; ++l) {
    if (!(present >> l & 1u)) continue;
    auto& mine = *static_cast<ShuffleRecord*>(records[l]);
    const int first = l / mine.width * mine.width;
    int from = l;
    switch (mine.how) {
      case Shuffle::index:
        from = first + (mine.argument & (mine.width - 1));
        break;
      case Shuffle::exclusive_or:
        from = l ^ mine.argument;
        if (from >= first + mine.width) from = l;
        break;
      case Shuffle::up:
        from = l - mine.argument;
        if (from < first) from = l;
        break;
      case Shuffle::down:
        from = l + mine.argument;
        if (from >= first + mine.width) from = l;
        break;
    }
    // A lane that is not here has no value to give.
    mine.result = present >> from & 1u ? static_cast<ShuffleRecord*>(records[from])->bits : ~uint64_t{0};
  }
}

struct VoteRecord {
  bool yes;
  VoteResult result;
};
void complete_vote(void* const* records, unsigned present) {
  VoteResult r{0, present};
  for (int l = 0; l < 32; ++l)
    if ((present >> l & 1u) && static_cast<VoteRecord*>(records[l])->yes) r.yes |= 1u << l;
  for (int l = 0; l < 32; ++l)
    if (present >> l & 1u) static_cast<VoteRecord*>(records[l])->result = r;
}

struct MatchRecord {
  uint64_t bits;
  unsigned result;
};
void complete_match(void* const* records, unsigned present) {
  for (int l = 0; l < 32; ++l) {
    if (!(present >> l & 1u)) continue;
    auto& mine = *static_cast<MatchRecord*>(records[l]);
    mine.result = 0;
    for (int m = 0; m < 32; ++m)
      if ((present >> m & 1u) && static_cast<MatchRecord*>(records[m])->bits == mine.bits) mine.result |= 1u << m;
  }
}

struct ReduceRecord {
  int64_t value;
  Reduce how;
};
void complete_reduce(void* const* records, unsigned present) {
  const int first = std::countr_zero(present);
  const Reduce how = static_cast<ReduceRecord*>(records[first])->how;
  int64_t all = static_cast<ReduceRecord*>(records[first])->value;
  for (int l = first + 1; l < 32; ++l) {
    if (!(present >> l & 1u)) continue;
    const int64_t v = static_cast<ReduceRecord*>(records[l])->value;
    switch (how) {
      case Reduce::add:
        all += v;
        break;
      case Reduce::least:
        all = std::min(all, v);
        break;
      case Reduce::most:
        all = std::max(all, v);
        break;
      case Reduce::all:
        all &= v;
        break;
      case Reduce::any:
        all |= v;
        break;
      case Reduce::exclusive_or:
        all ^= v;
        break;
    }
  }
  for (int l = 0; l < 32; ++l)
    if (present >> l & 1u) static_cast<ReduceRecord*>(records[l])->value = all;
}

// As in cuda/emulator/mma.inc.
struct MmaRecord {
  float* d;
  const uint32_t* a;
  const uint32_t* b;
};

void need_all_lanes(unsigned present) {
  if (present != ~0u) fault(cudaErrorLaunchFailure, "a tensor core instruction needs all 32 lanes");
}

// The products are exact in double; the sum of all and of d is rounded to float32 once.
template <int K>
void multiply(void* const* records, const double (&a)[16][K], const double (&b)[K][8]) {
  for (int l = 0; l < 32; ++l) {
    auto& r = *static_cast<MmaRecord*>(records[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) {
      const int row = g + i / 2 * 8, column = 2 * t + i % 2;
      double sum = r.d[i];
      for (int k = 0; k < K; ++k) sum += a[row][k] * b[k][column];
      r.d[i] = static_cast<float>(sum);
    }
  }
}

template <float (*kConvert)(uint16_t)>
void mma_16bit(void* const* records, unsigned present) {
  need_all_lanes(present);
  double a[16][16], b[16][8];
  for (int l = 0; l < 32; ++l) {
    const auto& r = *static_cast<const MmaRecord*>(records[l]);
    const int g = l / 4, t = l % 4;
    for (int half = 0; half < 2; ++half) {
      for (int i = 0; i < 4; ++i)
        a[g + i % 2 * 8][2 * t + i / 2 * 8 + half] = kConvert(static_cast<uint16_t>(r.a[i] >> (16 * half)));
      for (int i = 0; i < 2; ++i) b[2 * t + i * 8 + half][g] = kConvert(static_cast<uint16_t>(r.b[i] >> (16 * half)));
    }
  }
  multiply<16>(records, a, b);
}

float tf32(uint32_t bits) { return std::bit_cast<float>(bits & ~0x1fffu); }

}  // namespace

uint64_t shuffle_bits(unsigned mask, uint64_t bits, Shuffle how, int argument, int width) {
  ShuffleRecord mine{bits, 0, how, argument, width};
  meet(mask, Meeting::shuffle, &mine, complete_shuffle);
  return mine.result;
}
VoteResult vote(unsigned mask, bool yes) {
  VoteRecord mine{yes, {}};
  meet(mask, Meeting::vote, &mine, complete_vote);
  return mine.result;
}
unsigned match(unsigned mask, uint64_t bits) {
  MatchRecord mine{bits, 0};
  meet(mask, Meeting::match, &mine, complete_match);
  return mine.result;
}
int64_t reduce(unsigned mask, int64_t v, Reduce how) {
  ReduceRecord mine{v, how};
  meet(mask, Meeting::reduce, &mine, complete_reduce);
  return mine.value;
}

void mma_bf16(void* const* records, unsigned present) { mma_16bit<bf16_to_f32>(records, present); }
void mma_f16(void* const* records, unsigned present) { mma_16bit<f16_to_f32>(records, present); }
void mma_tf32(void* const* records, unsigned present) {
  need_all_lanes(present);
  double a[16][8], b[8][8];
  for (int l = 0; l < 32; ++l) {
    const auto& r = *static_cast<const MmaRecord*>(records[l]);
    const int g = l / 4, t = l % 4;
    for (int i = 0; i < 4; ++i) a[g + i % 2 * 8][t + i / 2 * 4] = tf32(r.a[i]);
    for (int i = 0; i < 2; ++i) b[t + i * 4][g] = tf32(r.b[i]);
  }
  multiply<8>(records, a, b);
}

// As in cuda/emulator/mma.inc.
struct LdmatrixRecord {
  uint32_t* r;
  const void* row;
};
template <int N, bool kTrans>
void ldmatrix(void* const* records, unsigned present) {
  need_all_lanes(present);
  for (int j = 0; j < N; ++j) {
    uint16_t matrix[8][8];
    for (int i = 0; i < 8; ++i) {
      const void* const row = static_cast<const LdmatrixRecord*>(records[8 * j + i])->row;
      if (reinterpret_cast<uintptr_t>(row) % 16)
        fault(cudaErrorMisalignedAddress, "ldmatrix: a row is not 16-byte aligned");
      memcpy(matrix[i], row, 16);
    }
    for (int l = 0; l < 32; ++l) {
      const int g = l / 4, t = l % 4;
      const uint16_t low = kTrans ? matrix[2 * t][g] : matrix[g][2 * t];
      const uint16_t high = kTrans ? matrix[2 * t + 1][g] : matrix[g][2 * t + 1];
      static_cast<LdmatrixRecord*>(records[l])->r[j] = low | static_cast<uint32_t>(high) << 16;
    }
  }
}
template void ldmatrix<1, false>(void* const*, unsigned);
template void ldmatrix<2, false>(void* const*, unsigned);
template void ldmatrix<4, false>(void* const*, unsigned);
template void ldmatrix<1, true>(void* const*, unsigned);
template void ldmatrix<2, true>(void* const*, unsigned);
template void ldmatrix<4, true>(void* const*, unsigned);

}  // namespace emulator
}  // namespace maas::cuda
