// Printed chains, compiled and run by the emulator, against the plain interpreter.
#include <algorithm>
#include <boost/test/unit_test.hpp>
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "core/element_io.h"
#include "cuda/launch.h"
#include "ops/elementwise/elementwise.h"

namespace maas {
void chain_ref(const ChainArgs& args, int64_t begin, int64_t end, const Exec& exec);
void chain_cuda(const ChainArgs& args, const Launch& launch);
}  // namespace maas

using namespace maas;

namespace {

constexpr DType kTypes[] = {DType::f64, DType::f32, DType::bf16, DType::f16, DType::i8, DType::u8,
                            DType::i16, DType::i32, DType::i64,  DType::u32, DType::b8};

struct Memory {
  DType dtype;
  std::vector<unsigned char> bytes;
  unsigned char* at = nullptr;
  Memory(DType t, int64_t count, int64_t offset = 0)
      : dtype(t), bytes(static_cast<size_t>((count + offset) * bit_size(t) / 8 + 16)) {
    at = bytes.data() + (16 - reinterpret_cast<uintptr_t>(bytes.data()) % 16) % 16 + offset * bit_size(t) / 8;
  }
};

std::mt19937 g_random(7);
int64_t pick(int64_t low, int64_t high) { return std::uniform_int_distribution<int64_t>(low, high)(g_random); }

void fill(Memory& s, int64_t count, bool special) {
  for (int64_t i = 0; i < count; ++i) {
    double v = std::uniform_real_distribution<double>(-8, 8)(g_random);
    if (!is_floating(s.dtype)) v = static_cast<double>(pick(-30, 100));
    if (special && is_floating(s.dtype) && i % 7 == 3) {
      const double odd[] = {NAN, INFINITY, -INFINITY, 0, -0.0, 1e30, -90, 20};
      v = odd[i / 7 % 8];
    }
    store_element(s.at, s.dtype, i, s.dtype == DType::b8 ? static_cast<double>(v > 0) : v);
  }
}

void register_steps(ChainArgs& a) {
  a.registers = a.inputs + a.step_count;
  bool floats = is_floating(a.dtype), f32 = a.dtype == DType::f32;
  for (int i = 0; i < a.inputs; ++i) {
    floats = floats || is_floating(a.in[i].dtype);
    f32 = f32 || a.in[i].dtype == DType::f32;
  }
  a.integers = !floats;
  a.narrow = f32;
}

void set_modes(ChainArgs& a) {
  for (int i = 0; i < a.inputs; ++i) {
    bool zero = true;
    for (int d = 0; d < a.rank; ++d) zero = zero && a.in[i].strides[d] == 0;
    a.in[i].mode = zero                                     ? ChainInput::scalar
                   : a.rank == 1 && a.in[i].strides[0] == 1 ? ChainInput::dense
                                                            : ChainInput::gather;
  }
}

// Both results; allowed: epsilons of the result's dtype, of `floor` where the result is nearer to 0.
void compare(ChainArgs a, double allowed, const std::string& what, int64_t y_offset = 0, double floor = 1e-30) {
  Memory want(a.dtype, a.size, y_offset), got(a.dtype, a.size, y_offset);
  std::memset(got.bytes.data(), 0xa5, got.bytes.size());
  a.y = want.at;
  chain_ref(a, 0, (a.size + ChainArgs::unit - 1) / ChainArgs::unit, Exec{});
  a.y = got.at;
  chain_cuda(a, Launch{});
  cuda::check(cudaDeviceSynchronize(), "run");
  const double epsilon = a.dtype == DType::f64    ? 0x1p-52
                         : a.dtype == DType::f32  ? 0x1p-23
                         : a.dtype == DType::bf16 ? 0x1p-7
                                                  : 0x1p-10;
  for (int64_t i = 0; i < a.size; ++i) {
    if (!is_floating(a.dtype)) {
      const auto x = load_element<int64_t>(got.at, a.dtype, i), y = load_element<int64_t>(want.at, a.dtype, i);
      if (x != y) BOOST_ERROR(what << ": element " << i << " is " << x << " instead of " << y);
      if (x != y) return;
      continue;
    }
    const auto x = load_element<double>(got.at, a.dtype, i), y = load_element<double>(want.at, a.dtype, i);
    const bool same = x == y || (x != x && y != y) ||
                      (std::isfinite(y) && std::fabs(x - y) <= allowed * epsilon * std::max(std::fabs(y), floor));
    if (!same) BOOST_ERROR(what << ": element " << i << " is " << x << " instead of " << y);
    if (!same) return;
  }
}

bool takes(FnKind kind, DType t) {
  if (kind == FnKind::real) return is_floating(t);
  if (kind == FnKind::number) return t != DType::b8;
  if (kind == FnKind::logic) return t == DType::b8;
  return true;
}

}  // namespace

BOOST_AUTO_TEST_CASE(every_function_in_every_dtype) {
  constexpr int64_t size = 1003;
  for (int fn = 0; fn < fn_count(); ++fn)
    for (DType t : kTypes) {
      const FnInfo& f = fn_info(fn);
      if (!takes(f.kind, t)) continue;
      ChainArgs a{};
      a.rank = 1;
      a.size = a.shape[0] = size;
      a.inputs = f.arity;
      std::vector<Memory> operands;
      operands.reserve(3);
      a.steps[0] = {static_cast<int16_t>(fn), {-1, -1, -1}, static_cast<int16_t>(f.arity)};
      for (int i = 0; i < f.arity; ++i) {
        operands.emplace_back(f.kind == FnKind::choose && i == 0 ? DType::b8 : t, size);
        fill(operands.back(), size, true);
        a.in[i] = {operands.back().at, operands.back().dtype, ChainInput::dense, {1}};
        a.steps[0].arg[i] = static_cast<int16_t>(i);
      }
      Specs specs;
      for (const Memory& s : operands) specs.push_back(Spec{s.dtype, {}, {}});
      a.dtype = fn_result(fn, specs);
      a.step_count = 1;
      register_steps(a);
      // float32 against the interpreter's double; 16-bit floats are rounded once from float32.
      const std::string name = f.name;
      const double allowed = t == DType::f32 ? 8 : t == DType::f64 ? 64 : 1;
      // Where numbers cancel on the way.
      const bool cancels = name == "gelu_tanh" || name == "hard_sigmoid";
      compare(a, allowed, text(name, " of ", t), 0, cancels ? 0.1 : 1e-30);
    }
}

BOOST_AUTO_TEST_CASE(casts_are_exact) {
  for (DType from : kTypes)
    for (DType to : kTypes) {
      ChainArgs a{};
      a.rank = 1;
      a.size = a.shape[0] = 301;
      a.inputs = a.step_count = 1;
      Memory x(from, a.size);
      fill(x, a.size, true);
      a.in[0] = {x.at, from, ChainInput::dense, {1}};
      a.dtype = to;
      a.steps[0] = {static_cast<int16_t>(find_fn(to == DType::b8 ? "to_bool" : "identity")), {0, -1, -1}, 1};
      register_steps(a);
      compare(a, 0, text("cast of ", from, " to ", to));
    }
}

// Operands in any strides and at any address.
BOOST_AUTO_TEST_CASE(any_layout) {
  const int16_t add = static_cast<int16_t>(find_fn("add")), identity = static_cast<int16_t>(find_fn("identity"));
  for (int round = 0; round < 160; ++round) {
    ChainArgs a{};
    const bool move = round % 4 == 0;
    const DType types[] = {DType::f32, DType::bf16, DType::i32, DType::u8, DType::f64};
    const DType t = types[pick(0, 4)];
    a.rank = static_cast<int>(pick(1, 4));
    a.size = 1;
    const int64_t sizes[] = {1, 2, 3, 4, 5, 7, 8, 16, 17, 33};
    for (int d = 0; d < a.rank; ++d) a.size *= a.shape[d] = sizes[pick(a.rank > 1 ? 1 : 0, 9)];
    a.inputs = move ? 1 : static_cast<int>(pick(1, 3));
    std::vector<Memory> operands;
    operands.reserve(4);
    for (int i = 0; i < a.inputs; ++i) {
      // A dense tensor over the axes in some order, some of them of size 1 and broadcast, some reversed.
      int order[4] = {0, 1, 2, 3};
      std::shuffle(order, order + a.rank, g_random);
      if (pick(0, 2) == 0)
        for (int d = 0; d < a.rank; ++d) order[d] = d;
      int64_t count = 1, start = 0;
      ChainInput& in = a.in[i];
      for (int k = a.rank; k-- > 0;) {
        const int d = order[k];
        const int64_t apart = pick(0, 5) == 0 ? 2 : 1;
        in.strides[d] = pick(0, 3) == 0 ? 0 : count * apart;
        if (in.strides[d] == 0) continue;
        count *= a.shape[d] * apart;
        if (pick(0, 7) == 0) {
          start += (a.shape[d] - 1) * in.strides[d];
          in.strides[d] = -in.strides[d];
        }
      }
      operands.emplace_back(t, count, pick(0, 3) == 0 ? pick(0, 3) : 0);
      fill(operands.back(), count, false);
      in.data = operands.back().at + start * bit_size(t) / 8;
      in.dtype = t;
    }
    set_modes(a);
    a.dtype = t;
    a.step_count = a.inputs > 1 ? a.inputs - 1 : 1;
    for (int s = 0; s < a.step_count; ++s) {
      const auto value = static_cast<int16_t>(s == 0 ? 0 : a.inputs + s - 1);
      if (a.inputs == 1)
        a.steps[s] = {move ? identity : static_cast<int16_t>(find_fn("absolute")), {0, -1, -1}, 1};
      else
        a.steps[s] = {add, {value, static_cast<int16_t>(s + 1), -1}, static_cast<int16_t>(a.inputs + s)};
    }
    register_steps(a);
    std::string what = text("round ", round, ", ", t, ", shape");
    for (int d = 0; d < a.rank; ++d) what += text(" ", a.shape[d]);
    for (int i = 0; i < a.inputs; ++i) {
      what += " strides";
      for (int d = 0; d < a.rank; ++d) what += text(" ", a.in[i].strides[d]);
    }
    compare(a, t == DType::bf16 ? 1 : 0, what, pick(0, 3) == 0 ? pick(0, 3) : 0);
  }
}

BOOST_AUTO_TEST_CASE(copies_that_swap_axes) {
  for (DType t : {DType::u8, DType::bf16, DType::f32, DType::f64})
    for (int64_t columns : {8, 63, 64, 65, 130})
      for (int64_t rows : {9, 64, 100}) {
        ChainArgs a{};
        a.rank = 4;
        const int64_t shape[] = {2, columns, 3, rows};
        Memory x(t, 2 * columns * 3 * rows);
        fill(x, 2 * columns * 3 * rows, false);
        a.size = 1;
        for (int d = 0; d < 4; ++d) a.size *= a.shape[d] = shape[d];
        // x lies as (2, rows, 3, columns)
        a.in[0] = {x.at, t, ChainInput::gather, {rows * 3 * columns, 1, columns, 3 * columns}};
        a.inputs = a.step_count = 1;
        a.dtype = t;
        a.steps[0] = {static_cast<int16_t>(find_fn("identity")), {0, -1, -1}, 1};
        register_steps(a);
        compare(a, 0, text("swap ", t, " ", columns, " ", rows));
      }
}

BOOST_AUTO_TEST_CASE(a_result_may_be_its_operand) {
  ChainArgs a{};
  a.rank = 1;
  a.size = a.shape[0] = 5003;
  Memory x(DType::f32, a.size), s(DType::f32, 1);
  fill(x, a.size, false);
  fill(s, 1, false);
  a.inputs = 2;
  a.in[0] = {x.at, DType::f32, ChainInput::dense, {1}};
  a.in[1] = {s.at, DType::f32, ChainInput::scalar, {0}};
  a.dtype = DType::f32;
  a.step_count = 1;
  a.steps[0] = {static_cast<int16_t>(find_fn("multiply")), {0, 1, -1}, 2};
  register_steps(a);
  Memory want(DType::f32, a.size);
  a.y = want.at;
  chain_ref(a, 0, (a.size + ChainArgs::unit - 1) / ChainArgs::unit, Exec{});
  a.y = x.at;
  chain_cuda(a, Launch{});
  cuda::check(cudaDeviceSynchronize(), "run");
  BOOST_TEST(std::memcmp(x.at, want.at, static_cast<size_t>(a.size) * 4) == 0);
}
