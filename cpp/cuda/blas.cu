// Any product, as something cuBLASLt takes: copies before it, an epilogue behind it.
#include "cuda/activation.h"
#include "cuda/blas.h"
#include "cuda/launch.h"
#include "cuda/library_product.h"

namespace maas::cuda {
namespace {

constexpr int kThreads = 256;

// ---- kernels around the product

// y[t][i][j] = x[t * batch_stride + i * rs + j * cs]
template <class T>
__global__ void gather_kernel(const T* x, T* y, int64_t rows, int64_t columns, int64_t rs, int64_t cs,
                              int64_t batch_stride, int64_t count) {
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < count; at += int64_t{gridDim.x} * kThreads) {
    const int64_t j = at % columns, rest = at / columns;
    y[at] = x[rest / rows * batch_stride + rest % rows * rs + j * cs];
  }
}

// c = epilogue(c), or of zeros. kVector elements at a time, all in one row.
template <class T, int kVector>
__global__ void epilogue_kernel(MatrixProduct p, EpilogueOf<T> epilogue, bool zero, int64_t count) {
  T* const c = static_cast<T*>(p.c);
  const int64_t pieces = p.n / kVector;
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < count; at += int64_t{gridDim.x} * kThreads) {
    const int64_t column = at % pieces * kVector, row = at / pieces;
    const int64_t where = row / p.m * p.c_batch + row % p.m * p.ldc + column;
    Vector<T, kVector> v;
    if (!zero) v = load<T, kVector>(c + where);
#pragma unroll
    for (int i = 0; i < kVector; ++i)
      v[i] = from_float<T>(epilogue(zero ? 0.f : to_float(v[i]), column + i, where + i));
    store(c + where, v);
  }
}

template <class T>
void run_epilogue(const MatrixProduct& p, bool zero, const Launch& l) {
  constexpr int kVector = kLanes<T>;
  const bool wide = p.n % kVector == 0 && p.ldc % kVector == 0 && p.c_batch % kVector == 0 &&
                    reinterpret_cast<uintptr_t>(p.c) % 16 == 0;
  const int64_t count = p.batch * p.m * p.n / (wide ? kVector : 1);
  launch(l, wide ? epilogue_kernel<T, kVector> : epilogue_kernel<T, 1>,
         blocks_for(count, kThreads, l.multiprocessors * 16), kThreads, 0, p, EpilogueOf<T>(p.epilogue), zero, count);
}

void run_epilogue(const MatrixProduct& p, bool zero, const Launch& l) {
  switch (p.dtype) {
    case DType::f64:
      return run_epilogue<double>(p, zero, l);  // of zeros alone: epilogues of float64 are chains
    case DType::bf16:
      return run_epilogue<__nv_bfloat16>(p, zero, l);
    case DType::f16:
      return run_epilogue<__half>(p, zero, l);
    default:
      return run_epilogue<float>(p, zero, l);
  }
}

// One thread for every element.
template <class T, class Sum>
__global__ void plain_kernel(MatrixProduct p, EpilogueOf<T> epilogue, int64_t count) {
  for (int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x; at < count; at += int64_t{gridDim.x} * kThreads) {
    const int64_t j = at % p.n, i = at / p.n % p.m, t = at / p.n / p.m;
    const T* a = static_cast<const T*>(p.a) + t * p.a_batch + i * p.rsa;
    const T* b = static_cast<const T*>(p.b) + t * p.b_batch + j * p.csb;
    Sum sum = 0;
    for (int64_t k = 0; k < p.k; ++k) {
      const Sum x = static_cast<Sum>(a[k * p.csa]), y = static_cast<Sum>(b[k * p.rsb]);
      if constexpr (sizeof(Sum) == 8)
        sum = fma(x, y, sum);
      else
        sum = fmaf(x, y, sum);
    }
    const int64_t where = t * p.c_batch + i * p.ldc + j;
    if constexpr (sizeof(Sum) == 4)
      static_cast<T*>(p.c)[where] = from_float<T>(epilogue(sum, j, where));
    else
      static_cast<T*>(p.c)[where] = sum;
  }
}

template <class T, class Sum>
void plain_product(const MatrixProduct& p, const Launch& l) {
  const int64_t count = p.batch * p.m * p.n;
  launch(l, plain_kernel<T, Sum>, blocks_for(count, kThreads, l.multiprocessors * 16), kThreads, 0, p,
         EpilogueOf<T>(p.epilogue), count);
}

void plain_product(const MatrixProduct& p, const Launch& l) {
  switch (p.dtype) {
    case DType::f64:
      return plain_product<double, double>(p, l);
    case DType::bf16:
      return plain_product<__nv_bfloat16, float>(p, l);
    case DType::f16:
      return plain_product<__half, float>(p, l);
    default:
      return plain_product<float, float>(p, l);
  }
}

// ---- operands

int64_t bytes_of(DType t) { return bit_size(t) / 8; }
size_t aligned(int64_t bytes) { return (static_cast<size_t>(bytes) + 255) / 256 * 256; }

size_t copied_bytes(const MatrixProduct& p, bool b) {
  const int64_t size = b ? p.k * p.n : p.m * p.k;
  const bool same = p.batch == 1 || (b ? p.b_batch : p.a_batch) == 0;
  return aligned(size * (same ? 1 : p.batch) * bytes_of(p.dtype));
}

// Copies an operand that the library cannot read to `to`, and describes the copy.
void copy_operand(MatrixProduct& p, bool b, char* to, const Launch& l) {
  const void*& data = b ? p.b : p.a;
  int64_t &rs = b ? p.rsb : p.rsa, &cs = b ? p.csb : p.csa, &batch_stride = b ? p.b_batch : p.a_batch;
  const int64_t rows = b ? p.k : p.m, columns = b ? p.n : p.k;
  const int64_t count = rows * columns * (batch_stride == 0 ? 1 : p.batch);
  const auto copy = [&](auto element) {
    using T = decltype(element);
    launch(l, gather_kernel<T>, blocks_for(count, kThreads, l.multiprocessors * 16), kThreads, 0,
           static_cast<const T*>(data), reinterpret_cast<T*>(to), rows, columns, rs, cs, batch_stride, count);
  };
  switch (bytes_of(p.dtype)) {
    case 8:
      copy(uint64_t{});
      break;
    case 4:
      copy(uint32_t{});
      break;
    default:
      copy(uint16_t{});
      break;
  }
  data = to;
  rs = columns;
  cs = 1;
  if (batch_stride) batch_stride = rows * columns;
}

}  // namespace

bool readable(int64_t rows, int64_t columns, int64_t rs, int64_t cs) {
  const StoredMatrix s = stored(rows, columns, rs, cs);
  return s.ld >= (s.by_columns ? rows : columns);
}

size_t multiply_scratch(const MatrixProduct& p) {
  size_t bytes = kLibraryWorkspace;
  if (!readable(p.m, p.k, p.rsa, p.csa)) bytes += copied_bytes(p, false);
  if (!readable(p.k, p.n, p.rsb, p.csb)) bytes += copied_bytes(p, true);
  return bytes;
}

void multiply(const MatrixProduct& whole, const Launch& l) {
  if (whole.m == 0 || whole.n == 0 || whole.batch == 0) return;
  if (whole.k == 0) return run_epilogue(whole, true, l);
  MatrixProduct p = whole;
  char* scratch = static_cast<char*>(l.scratch) + kLibraryWorkspace;
  if (!readable(p.m, p.k, p.rsa, p.csa)) {
    const size_t bytes = copied_bytes(p, false);
    copy_operand(p, false, scratch, l);
    scratch += bytes;
  }
  if (!readable(p.k, p.n, p.rsb, p.csb)) copy_operand(p, true, scratch, l);
  if (library_product(p, l)) return;
  if (p.epilogue.empty()) return plain_product(p, l);
  MatrixProduct sums = p;
  sums.epilogue = {};
  if (!library_product(sums, l)) return plain_product(p, l);
  run_epilogue(p, false, l);
}

}  // namespace maas::cuda
