// Host code: nvcc need not see it.
#include "cuda/library_product.h"

#ifndef MAAS_CUDA_EMULATE
#include <cublasLt.h>
#include <cuda_runtime.h>
#endif

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <vector>

#include "core/error.h"
#include "cuda/blas.h"

namespace maas::cuda {
namespace {

std::atomic<bool>& deterministic_flag() {
  static std::atomic<bool> flag = [] {
    const char* v = std::getenv("MAAS_DETERMINISTIC");
    return v && std::strcmp(v, "1") == 0;
  }();
  return flag;
}

}  // namespace

void set_deterministic(bool on) { deterministic_flag() = on; }
bool deterministic() { return deterministic_flag(); }

#ifdef MAAS_CUDA_EMULATE

bool library_product(const MatrixProduct&, const Launch&) { return false; }

#else
void check(cudaError_t result, const char* what);  // of cuda/launch.h, which is for nvcc alone

namespace {

cudaStream_t stream(const Launch& l) { return static_cast<cudaStream_t>(l.stream); }

void check_blas(cublasStatus_t status, const char* what) {
  if (status != CUBLAS_STATUS_SUCCESS)
    fail(status == CUBLAS_STATUS_ALLOC_FAILED ? ErrorKind::memory : ErrorKind::runtime, "cuBLASLt: ", what,
         " failed, received: ", cublasLtGetStatusString(status));
}

cublasLtHandle_t handle(int gpu) {
  static std::mutex mutex;
  static auto* const all = new std::map<int, cublasLtHandle_t>;
  std::lock_guard guard(mutex);
  cublasLtHandle_t& h = (*all)[gpu];
  if (!h) check_blas(cublasLtCreate(&h), "start");
  return h;
}

// ---- the problem in the library's words: it is column-major, so it computes c^T = b^T a^T

struct Matrix {
  cublasLtMatrixLayout_t layout = nullptr;
  Matrix(cudaDataType_t type, int64_t rows, int64_t columns, int64_t ld, int64_t batch, int64_t batch_stride) {
    check_blas(
        cublasLtMatrixLayoutCreate(&layout, type, static_cast<uint64_t>(rows), static_cast<uint64_t>(columns), ld),
        "layout");
    const auto count = static_cast<int32_t>(batch);
    set(CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, count);
    set(CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, batch_stride);
  }
  ~Matrix() { cublasLtMatrixLayoutDestroy(layout); }
  Matrix(const Matrix&) = delete;
  template <class T>
  void set(cublasLtMatrixLayoutAttribute_t name, const T& value) {
    check_blas(cublasLtMatrixLayoutSetAttribute(layout, name, &value, sizeof value), "layout");
  }
};

struct Operation {
  cublasLtMatmulDesc_t desc = nullptr;
  Operation(cublasComputeType_t compute, cudaDataType_t scale) {
    check_blas(cublasLtMatmulDescCreate(&desc, compute, scale), "operation");
  }
  ~Operation() { cublasLtMatmulDescDestroy(desc); }
  Operation(const Operation&) = delete;
  template <class T>
  void set(cublasLtMatmulDescAttributes_t name, const T& value) {
    check_blas(cublasLtMatmulDescSetAttribute(desc, name, &value, sizeof value), "operation");
  }
};

struct Preference {
  cublasLtMatmulPreference_t preference = nullptr;
  Preference() { check_blas(cublasLtMatmulPreferenceCreate(&preference), "preference"); }
  ~Preference() { cublasLtMatmulPreferenceDestroy(preference); }
  Preference(const Preference&) = delete;
  template <class T>
  void set(cublasLtMatmulPreferenceAttributes_t name, const T& value) {
    check_blas(cublasLtMatmulPreferenceSetAttribute(preference, name, &value, sizeof value), "preference");
  }
};

cudaDataType_t type_of(DType t) {
  return t == DType::f64 ? CUDA_R_64F : t == DType::bf16 ? CUDA_R_16BF : t == DType::f16 ? CUDA_R_16F : CUDA_R_32F;
}

// What the library can do behind the sum in the same kernel. It adds the residual before everything else.
bool fuses(const ProductEpilogue& e) {
  return e.activation != ProductEpilogue::gelu_erf &&
         (!e.residual || e.residual_first || e.activation == ProductEpilogue::none);
}

uint32_t alignment(const void* p, int64_t batch, int64_t batch_bytes) {
  const uint64_t bits = reinterpret_cast<uintptr_t>(p) | (batch > 1 ? static_cast<uint64_t>(batch_bytes) : 0) | 256;
  return static_cast<uint32_t>(bits & (~bits + 1));
}
// Of c, and of the bias, which the library asks no alignment of.
uint32_t result_alignment(const MatrixProduct& p) {
  const uint32_t c = alignment(p.c, p.batch, p.c_batch * (bit_size(p.dtype) / 8));
  return p.epilogue.bias ? std::min(c, alignment(p.epilogue.bias, 1, 0)) : c;
}

struct Problem {
  StoredMatrix a, b;
  Matrix left, right, c;  // b, a and c of ours
  Operation operation;
  double one = 1, zero = 0;
  float one_f = 1, zero_f = 0;
  bool wide;

  explicit Problem(const MatrixProduct& p)
      : a(stored(p.m, p.k, p.rsa, p.csa)),
        b(stored(p.k, p.n, p.rsb, p.csb)),
        left(type_of(p.dtype), b.by_columns ? p.k : p.n, b.by_columns ? p.n : p.k, b.ld, p.batch, p.b_batch),
        right(type_of(p.dtype), a.by_columns ? p.m : p.k, a.by_columns ? p.k : p.m, a.ld, p.batch, p.a_batch),
        c(type_of(p.dtype), p.n, p.m, p.m == 1 ? p.n : p.ldc, p.batch, p.c_batch),
        operation(p.dtype == DType::f64 ? CUBLAS_COMPUTE_64F : CUBLAS_COMPUTE_32F,
                  p.dtype == DType::f64 ? CUDA_R_64F : CUDA_R_32F),
        wide(p.dtype == DType::f64) {
    operation.set(CUBLASLT_MATMUL_DESC_TRANSA, b.by_columns ? CUBLAS_OP_T : CUBLAS_OP_N);
    operation.set(CUBLASLT_MATMUL_DESC_TRANSB, a.by_columns ? CUBLAS_OP_T : CUBLAS_OP_N);
    const ProductEpilogue& e = p.epilogue;
    const int bias = e.bias ? CUBLASLT_EPILOGUE_BIAS : 0;
    const int activation = e.activation == ProductEpilogue::relu        ? CUBLASLT_EPILOGUE_RELU
                           : e.activation == ProductEpilogue::gelu_tanh ? CUBLASLT_EPILOGUE_GELU
                                                                        : 0;
    const int both = bias | activation;
    operation.set(CUBLASLT_MATMUL_DESC_EPILOGUE,
                  static_cast<cublasLtEpilogue_t>(both ? both : CUBLASLT_EPILOGUE_DEFAULT));
    if (e.bias) {
      operation.set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, e.bias);
      operation.set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.dtype));
    }
  }

  cublasStatus_t run(const MatrixProduct& p, const cublasLtMatmulAlgo_t& algo, const Launch& l,
                     cublasLtHandle_t h) const {
    const void* beta = p.epilogue.residual ? (wide ? static_cast<const void*>(&one) : &one_f)
                                           : (wide ? static_cast<const void*>(&zero) : &zero_f);
    return cublasLtMatmul(h, operation.desc, wide ? static_cast<const void*>(&one) : &one_f, p.b, left.layout, p.a,
                          right.layout, beta, p.epilogue.residual ? p.epilogue.residual : p.c, c.layout, p.c, c.layout,
                          &algo, l.scratch, kLibraryWorkspace, stream(l));
  }
};

// ---- choice of the algorithm

// What the choice depends on.
using Key = std::array<int64_t, 20>;
Key key_of(const MatrixProduct& p, const Problem& q, int gpu) {
  const int64_t size = bit_size(p.dtype) / 8;
  const ProductEpilogue& e = p.epilogue;
  return {gpu,
          static_cast<int64_t>(p.dtype),
          p.m,
          p.n,
          p.k,
          p.batch,
          q.a.ld,
          q.b.ld,
          p.ldc,
          q.a.by_columns * 2 + q.b.by_columns,
          p.a_batch,
          p.b_batch,
          p.c_batch,
          (e.bias != nullptr) + (e.residual != nullptr) * 2 + e.activation * 4,
          alignment(p.a, p.batch, p.a_batch * size),
          alignment(p.b, p.batch, p.b_batch * size),
          result_alignment(p),
          e.residual ? alignment(e.residual, p.batch, p.c_batch * size) : 0,
          deterministic(),
          0};
}

struct Choice {
  cublasLtMatmulAlgo_t algo;
  bool found = false, final = false;  // final: measured, or nothing to measure
};
struct Choices {
  std::mutex mutex;
  std::map<Key, Choice> known;
};
Choices& choices() {
  static auto* const all = new Choices;
  return *all;
}

std::vector<cublasLtMatmulHeuristicResult_t> candidates(const MatrixProduct& p, const Problem& q, cublasLtHandle_t h,
                                                        bool whole_sums) {
  constexpr int kMost = 8;
  const int64_t size = bit_size(p.dtype) / 8;
  Preference preference;
  preference.set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kLibraryWorkspace);
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(p.b, p.batch, p.b_batch * size));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(p.a, p.batch, p.a_batch * size));
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, result_alignment(p));
  const void* const added = p.epilogue.residual ? p.epilogue.residual : p.c;
  preference.set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(added, p.batch, p.c_batch * size));
  if (whole_sums) preference.set(CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK, uint32_t{CUBLASLT_REDUCTION_SCHEME_NONE});
  std::vector<cublasLtMatmulHeuristicResult_t> found(kMost);
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(h, q.operation.desc, q.left.layout, q.right.layout, q.c.layout, q.c.layout,
                                     preference.preference, kMost, found.data(), &count);
  found.resize(status == CUBLAS_STATUS_SUCCESS ? static_cast<size_t>(count) : 0);
  std::erase_if(found, [&](const cublasLtMatmulHeuristicResult_t& r) {
    uint32_t parts = 1;
    size_t written = 0;
    if (whole_sums)
      cublasLtMatmulAlgoConfigGetAttribute(&r.algo, CUBLASLT_ALGO_CONFIG_SPLITK_NUM, &parts, sizeof parts, &written);
    return r.state != CUBLAS_STATUS_SUCCESS || r.workspaceSize > kLibraryWorkspace || parts > 1;
  });
  return found;
}

// The same product with as many rows as any: what one algorithm for all m is chosen by.
MatrixProduct with_usual_rows(MatrixProduct p, const Problem& q) {
  constexpr int64_t kRows = 1024;
  if (q.a.by_columns) p.csa = (kRows + 7) / 8 * 8;
  p.m = kRows;
  if (p.batch > 1) {
    p.batch = 2;
    p.a_batch = p.a_batch ? kRows * p.k : 0;
    p.c_batch = kRows * p.ldc;
  }
  return p;
}

// Milliseconds of one run; negative if it fails.
float measure(const MatrixProduct& p, const Problem& q, const cublasLtMatmulAlgo_t& algo, const Launch& l,
              cublasLtHandle_t h, cudaEvent_t begin, cudaEvent_t end) {
  float ms = 0;
  int runs = 1;
  for (int round = 0; round < 2; ++round) {
    check(cudaEventRecord(begin, stream(l)), "measuring a product");
    for (int i = 0; i < runs; ++i)
      if (q.run(p, algo, l, h) != CUBLAS_STATUS_SUCCESS) return -1;
    check(cudaEventRecord(end, stream(l)), "measuring a product");
    check(cudaEventSynchronize(end), "measuring a product");
    check(cudaEventElapsedTime(&ms, begin, end), "measuring a product");
    ms /= static_cast<float>(runs);
    runs = ms < 0.1f ? 20 : ms < 1 ? 5 : 2;  // the first round warms up
  }
  return ms;
}

Choice choose(const MatrixProduct& p, const Problem& q, const Launch& l, cublasLtHandle_t h, bool recording) {
  Choice best;
  if (deterministic()) {
    best.final = true;
    const MatrixProduct usual = with_usual_rows(p, q);
    const auto found = candidates(usual, Problem(usual), h, true);
    for (const auto& r : found) {
      cublasLtMatmulHeuristicResult_t result;
      if (cublasLtMatmulAlgoCheck(h, q.operation.desc, q.left.layout, q.right.layout, q.c.layout, q.c.layout, &r.algo,
                                  &result) != CUBLAS_STATUS_SUCCESS ||
          result.workspaceSize > kLibraryWorkspace)
        continue;
      best.algo = r.algo;
      best.found = true;
      return best;
    }
  }
  const auto found = candidates(p, q, h, deterministic());
  best.final = found.size() < 2 || deterministic();
  if (found.empty()) return best;
  best.found = true;
  best.algo = found[0].algo;
  if (best.final || recording) return best;
  cudaEvent_t begin = nullptr, end = nullptr;
  check(cudaEventCreate(&begin), "event");
  check(cudaEventCreate(&end), "event");
  float least = -1;
  for (const auto& r : found) {
    const float ms = measure(p, q, r.algo, l, h, begin, end);
    if (ms < 0 || (least >= 0 && ms >= least)) continue;
    least = ms;
    best.algo = r.algo;
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  best.final = true;
  return best;
}

}  // namespace

bool library_product(const MatrixProduct& p, const Launch& l) {
  if (!fuses(p.epilogue) || p.batch > INT32_MAX) return false;
  int gpu = 0;
  check(cudaGetDevice(&gpu), "device");
  const cublasLtHandle_t h = handle(gpu);
  const Problem q(p);
  Choice choice;
  {
    std::lock_guard guard(choices().mutex);
    Choice& known = choices().known[key_of(p, q, gpu)];
    if (!known.final) {
      cudaStreamCaptureStatus state = cudaStreamCaptureStatusNone;
      check(cudaStreamIsCapturing(stream(l), &state), "stream");
      const bool recording = state != cudaStreamCaptureStatusNone;
      if (!known.found || !recording) known = choose(p, q, l, h, recording);
    }
    choice = known;
  }
  if (!choice.found) return false;
  check_blas(q.run(p, choice.algo, l, h), "product");
  return true;
}
#endif

}  // namespace maas::cuda
