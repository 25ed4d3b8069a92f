// Printed chains go through NVRTC itself, which needs no GPU: every function in the types chains compute in, and every
// way to read an operand. Nothing is checked where the library is missing.
#include <dlfcn.h>
#include <nvrtc.h>

#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <iterator>
#include <random>
#include <string>
#include <vector>

#include "cuda/nvrtc.h"
#include "ops/elementwise/chain_print.h"
#include "ops/elementwise/elementwise.h"

using namespace maas;

namespace {

struct Nvrtc {
  void* library = nullptr;
  decltype(&nvrtcCreateProgram) create = nullptr;
  decltype(&nvrtcCompileProgram) compile = nullptr;
  decltype(&nvrtcGetProgramLogSize) log_size = nullptr;
  decltype(&nvrtcGetProgramLog) log = nullptr;
  decltype(&nvrtcDestroyProgram) destroy = nullptr;

  Nvrtc() {
    for (const char* name : {"libnvrtc.so.13", "libnvrtc.so", "/usr/local/cuda/lib64/libnvrtc.so"})
      if ((library = dlopen(name, RTLD_NOW | RTLD_LOCAL))) break;
    if (!library) return;
    find("nvrtcCreateProgram", create);
    find("nvrtcCompileProgram", compile);
    find("nvrtcGetProgramLogSize", log_size);
    find("nvrtcGetProgramLog", log);
    find("nvrtcDestroyProgram", destroy);
  }
  template <class F>
  void find(const char* name, F& f) {
    f = reinterpret_cast<F>(dlsym(library, name));
    BOOST_REQUIRE(f);
  }

  // The compiler's words, empty if it has none.
  std::string problem(const std::string& text) {
    nvrtcProgram program;
    BOOST_REQUIRE(create(&program, text.c_str(), "chain.cu", 0, nullptr, nullptr) == NVRTC_SUCCESS);
    std::vector<const char*> options{"--gpu-architecture=sm_90"};
    options.insert(options.end(), std::begin(cuda::kTextOptions), std::end(cuda::kTextOptions));
    const nvrtcResult result = compile(program, static_cast<int>(options.size()), options.data());
    std::string words;
    if (result != NVRTC_SUCCESS) {
      size_t size = 0;
      log_size(program, &size);
      words.resize(size);
      log(program, words.data());
      words += "failed";
    }
    destroy(&program);
    return words;
  }
};

Nvrtc& nvrtc() {
  static Nvrtc found;
  if (!found.library) BOOST_TEST_MESSAGE("no NVRTC here: nothing is checked");
  return found;
}

void check(const ChainArgs& a) {
  if (!nvrtc().library) return;
  const std::string text = print_chain(a, walk_chain(a)), problem = nvrtc().problem(text);
  BOOST_TEST(problem == "", problem << text.substr(text.find("struct Params")));
}

void finish(ChainArgs& a) {
  bool floats = is_floating(a.dtype), f32 = a.dtype == DType::f32;
  for (int i = 0; i < a.inputs; ++i) {
    floats = floats || is_floating(a.in[i].dtype);
    f32 = f32 || a.in[i].dtype == DType::f32;
  }
  a.integers = !floats;
  a.narrow = f32;
  a.registers = a.inputs + a.step_count;
}

}  // namespace

// Up to 12 functions a text; all are checked, though only the last one's result is used.
BOOST_AUTO_TEST_CASE(every_function_compiles) {
  for (DType t : {DType::f32, DType::f64, DType::bf16, DType::f16, DType::i64, DType::b8}) {
    ChainArgs a{};
    auto begin = [&] {
      a = {};
      a.rank = 1;
      a.size = a.shape[0] = 1000;
      a.inputs = 3;
      a.dtype = t;
      for (int i = 0; i < 3; ++i) a.in[i] = {nullptr, t, ChainInput::dense, {1}};
    };
    begin();
    for (int fn = 0; fn < fn_count(); ++fn) {
      const FnKind kind = fn_info(fn).kind;
      const bool takes = kind == FnKind::real     ? is_floating(t)
                         : kind == FnKind::number ? t != DType::b8
                         : kind == FnKind::logic  ? t == DType::b8
                                                  : true;
      if (takes) {
        const auto s = static_cast<int16_t>(a.step_count++);
        a.steps[s] = {static_cast<int16_t>(fn), {-1, -1, -1}, static_cast<int16_t>(3 + s)};
        for (int k = 0; k < fn_info(fn).arity; ++k) a.steps[s].arg[k] = static_cast<int16_t>(k);
      }
      if (a.step_count == ChainArgs::max_steps || (fn + 1 == fn_count() && a.step_count)) {
        finish(a);
        check(a);
        begin();
      }
    }
  }
}

BOOST_AUTO_TEST_CASE(every_walk_compiles) {
  std::mt19937 random(3);
  auto pick = [&](int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(random); };
  const DType types[] = {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8,
                         DType::i16, DType::i32, DType::i64,  DType::u32, DType::b8};
  bool seen[8] = {};
  for (int round = 0; round < 40; ++round) {
    ChainArgs a{};
    const bool move = round % 4 == 0;
    a.dtype = types[pick(0, 10)];
    a.rank = static_cast<int>(pick(1, 5));
    a.size = 1;
    for (int d = 0; d < a.rank; ++d) a.size *= a.shape[d] = pick(1, 2) == 1 ? pick(2, 40) : 4 * pick(1, 40);
    a.inputs = move ? 1 : 2;
    for (int i = 0; i < a.inputs; ++i) {
      ChainInput& in = a.in[i];
      in.dtype = move ? a.dtype : types[pick(0, 10)];
      const int64_t form = pick(0, 4);
      int64_t stride = 1;
      bool zero = true;
      for (int d = a.rank; d-- > 0; stride *= a.shape[d]) {
        in.strides[d] = form == 0   ? stride
                        : form == 1 ? pick(0, 1) * stride
                        : form == 2 ? 3 * stride
                        : form == 3 ? -stride
                                    : 0;
        if (form == 2 && d == 0 && pick(0, 2) == 0) in.strides[d] = int64_t{1} << 33;
        zero = zero && in.strides[d] == 0;
      }
      in.mode = zero ? ChainInput::scalar : ChainInput::gather;
    }
    a.step_count = 1;
    a.steps[0] = {static_cast<int16_t>(find_fn(move ? "identity" : "maximum")),
                  {0, static_cast<int16_t>(move ? -1 : 1), -1},
                  static_cast<int16_t>(a.inputs)};
    finish(a);
    const ChainWalk w = walk_chain(a);
    for (int i = 0; i < a.inputs; ++i) seen[w.read[i]] = true;
    check(a);
  }
  BOOST_TEST(std::count(seen, seen + 8, true) == 6);  // all but `none`
}
