// Glue for ISA files: pick the vector type by the file's flags.
//
//   softmax.avx512.cpp:   #include "simd/isa.h"
//                         #include "ops/softmax/softmax_simd.h"
//                         namespace maas { void softmax_f32_avx512(MAAS_KERNEL_ARGS) { softmax_rows<simd::V>(...); } }
//
// `simd::V` is avx512::F32 in files compiled with AVX-512 (F, BW, DQ, VL), else avx2::F32. It is an alias of an
// anonymous type, so every template over it stays inside the object.
#pragma once

#if defined(__AVX512F__) && defined(__AVX512BW__) && defined(__AVX512DQ__) && defined(__AVX512VL__)
#include "simd/avx512.h"
#define MAAS_ISA_NAME avx512
#elif defined(__AVX2__) && defined(__FMA__) && defined(__F16C__)
#include "simd/avx2.h"
#define MAAS_ISA_NAME avx2
#else
#error "simd/isa.h is for ISA files only: compile with -mavx2 -mfma -mf16c or with the AVX-512 flags"
#endif
#include "simd/math.h"
#include "simd/vec.h"

namespace maas::simd {
namespace {
using V = MAAS_ISA_NAME::F32;
using I = MAAS_ISA_NAME::I32;
using Mask = MAAS_ISA_NAME::Mask;
using Tail = MAAS_ISA_NAME::Tail;
}  // namespace
}  // namespace maas::simd
