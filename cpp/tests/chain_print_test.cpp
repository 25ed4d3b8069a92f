// How chains are walked and printed for a GPU. Host logic: no CUDA.
#include "ops/elementwise/chain_print.h"

#include <boost/test/unit_test.hpp>
#include <vector>

#include "core/fast_divisor.h"
#include "ops/elementwise/elementwise.h"

using namespace maas;

namespace {

// fn(x0, x1 ..) of a result of `shape`; operands are given by their strides.
ChainArgs chain(const char* fn, DType dtype, std::vector<int64_t> shape, std::vector<std::vector<int64_t>> strides,
                std::vector<const void*> data = {}) {
  ChainArgs a{};
  a.dtype = dtype;
  a.rank = static_cast<int>(shape.size());
  a.size = 1;
  for (int d = 0; d < a.rank; ++d) a.size *= a.shape[d] = shape[static_cast<size_t>(d)];
  a.inputs = static_cast<int>(strides.size());
  for (size_t i = 0; i < strides.size(); ++i) {
    ChainInput& in = a.in[i];
    in = {i < data.size() ? data[i] : nullptr, dtype, ChainInput::gather, {}};
    bool zero = true;
    for (size_t d = 0; d < strides[i].size(); ++d) {
      in.strides[d] = strides[i][d];
      zero = zero && strides[i][d] == 0;
    }
    if (zero) in.mode = ChainInput::scalar;
    if (strides[i] == std::vector<int64_t>{1}) in.mode = ChainInput::dense;
  }
  a.step_count = 1;
  a.steps[0] = {static_cast<int16_t>(find_fn(fn)), {-1, -1, -1}, static_cast<int16_t>(a.inputs)};
  for (int i = 0; i < a.inputs && i < 3; ++i) a.steps[0].arg[i] = static_cast<int16_t>(i);
  a.registers = a.inputs + 1;
  a.integers = !is_floating(dtype);
  a.narrow = dtype == DType::f32;
  return a;
}

bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

}  // namespace

BOOST_AUTO_TEST_CASE(quotients_by_multiplication) {
  for (uint32_t d : {1u, 2u, 3u, 5u, 7u, 10u, 641u, 65535u, 65536u, 1000003u, 0x40000001u, 0x7fffffffu}) {
    const FastDivisor f = fast_divisor(d);
    for (uint64_t n : {uint64_t{0}, uint64_t{1}, uint64_t{d} - 1, uint64_t{d}, uint64_t{d} + 1, uint64_t{12345678},
                       uint64_t{0x7ffffffe}, uint64_t{0x7fffffff}}) {
      if (n > 0x7fffffff) continue;
      const auto high = static_cast<uint32_t>(n * f.multiplier >> 32);
      BOOST_TEST((high + static_cast<uint32_t>(n)) >> f.shift == n / d, n << " / " << d);
    }
  }
}

BOOST_AUTO_TEST_CASE(dense_operands_take_16_bytes) {
  const ChainArgs a = chain("add", DType::f32, {1000}, {{1}, {0}});
  const ChainWalk w = walk_chain(a);
  BOOST_TEST(w.width == 4);
  BOOST_TEST(w.read[0] == ChainWalk::dense);
  BOOST_TEST(w.read[1] == ChainWalk::scalar);
  BOOST_TEST(w.rank == 0);
  BOOST_TEST(walk_chain(chain("add", DType::bf16, {1000}, {{1}, {1}})).width == 8);
  BOOST_TEST(walk_chain(chain("negative", DType::f64, {1000}, {{1}})).width == 2);
}

BOOST_AUTO_TEST_CASE(an_address_off_16_bytes_narrows_the_accesses) {
  const auto at = [](intptr_t p) { return reinterpret_cast<const void*>(p); };
  BOOST_TEST(walk_chain(chain("negative", DType::f32, {1000}, {{1}}, {at(32)})).width == 4);
  BOOST_TEST(walk_chain(chain("negative", DType::f32, {1000}, {{1}}, {at(40)})).width == 2);
  BOOST_TEST(walk_chain(chain("negative", DType::f32, {1000}, {{1}}, {at(36)})).width == 1);
}

BOOST_AUTO_TEST_CASE(broadcast_operands_are_read_by_the_vector_where_rows_allow) {
  ChainWalk w = walk_chain(chain("add", DType::f32, {10, 64}, {{64, 1}, {0, 1}}));
  BOOST_TEST(w.read[0] == ChainWalk::dense);
  BOOST_TEST(w.read[1] == ChainWalk::vector);
  BOOST_TEST(w.width == 4);
  w = walk_chain(chain("add", DType::f32, {10, 64}, {{64, 1}, {1, 0}}));
  BOOST_TEST(w.read[1] == ChainWalk::splat);
  w = walk_chain(chain("add", DType::f32, {10, 64}, {{64, 1}, {1, 10}}));
  BOOST_TEST(w.read[1] == ChainWalk::strided);
  w = walk_chain(chain("add", DType::f32, {10, 63}, {{63, 1}, {0, 1}}));
  BOOST_TEST(w.read[1] == ChainWalk::each);
  BOOST_TEST(w.width == 4);
  w = walk_chain(chain("add", DType::f32, {10, 62}, {{62, 1}, {0, 1}}));
  BOOST_TEST(w.read[1] == ChainWalk::vector);
  BOOST_TEST(w.width == 2);
}

BOOST_AUTO_TEST_CASE(large_results_and_strides_take_64_bits) {
  BOOST_TEST(!walk_chain(chain("negative", DType::f32, {int64_t{1} << 30}, {{1}})).wide);
  BOOST_TEST(walk_chain(chain("negative", DType::f32, {int64_t{1} << 31}, {{1}})).wide);
  BOOST_TEST(walk_chain(chain("negative", DType::f32, {4, 4}, {{int64_t{1} << 30, 2}})).wide);
}

BOOST_AUTO_TEST_CASE(sizes_strides_and_addresses_are_no_part_of_the_text) {
  const ChainArgs a = chain("add", DType::f32, {10, 64}, {{64, 1}, {0, 1}}),
                  b = chain(
                      "add", DType::f32, {7, 128}, {{128, 1}, {0, 1}},
                      {reinterpret_cast<const void*>(intptr_t{4096}), reinterpret_cast<const void*>(intptr_t{64})});
  BOOST_TEST(chain_key(a, walk_chain(a)) == chain_key(b, walk_chain(b)));
  BOOST_TEST(print_chain(a, walk_chain(a)) == print_chain(b, walk_chain(b)));
  const ChainArgs c = chain("multiply", DType::f32, {10, 64}, {{64, 1}, {0, 1}});
  BOOST_TEST(chain_key(a, walk_chain(a)) != chain_key(c, walk_chain(c)));
}

BOOST_AUTO_TEST_CASE(parameters_follow_the_fields_of_the_text) {
  const ChainArgs a = chain("add", DType::f32, {3, 10, 64}, {{640, 64, 1}, {0, 64, 1}});
  const ChainWalk w = walk_chain(a);
  const std::string text = print_chain(a, w);
  const size_t from = text.find("struct Params {"), to = text.find("};", from);
  const std::string fields = text.substr(from, to - from);
  const ChainParams p = chain_params(a, w, 132);
  int words = 0;
  for (char c : fields) words += c == ';' || c == ',';
  BOOST_TEST(p.count == words);
  BOOST_TEST(contains(fields, "k1_2"));
  BOOST_TEST(!contains(fields, "k0_"));
  BOOST_TEST(p.words[p.count - 3] == 0);   // k1_0
  BOOST_TEST(p.words[p.count - 2] == 64);  // k1_1
  BOOST_TEST(p.words[3] == a.size);
  BOOST_TEST(p.words[4] == a.size / 4);
}

BOOST_AUTO_TEST_CASE(small_results_spread_over_blocks_and_large_ones_load_more_at_once) {
  const ChainArgs small = chain("negative", DType::f32, {4096}, {{1}}),
                  large = chain("negative", DType::f32, {1 << 28}, {{1}});
  BOOST_TEST(chain_params(small, walk_chain(small), 132).blocks == 4);
  const ChainWalk w = walk_chain(large);
  BOOST_TEST(w.unroll == 4);
  BOOST_TEST(chain_params(large, w, 132).blocks == (1 << 28) / 4 / 256 / 4);
  BOOST_TEST(chain_params(chain("negative", DType::f32, {1}, {{0}}),
                          walk_chain(chain("negative", DType::f32, {1}, {{0}})), 132)
                 .blocks == 1);
}

BOOST_AUTO_TEST_CASE(copies_move_bytes) {
  const ChainArgs a = chain("identity", DType::bf16, {10, 64}, {{0, 1}});
  const ChainWalk w = walk_chain(a);
  BOOST_TEST(w.move);
  const std::string text = print_chain(a, w);
  BOOST_TEST(contains(text, "const u16* x0;"));
  BOOST_TEST(!contains(text, "evaluate("));
}

BOOST_AUTO_TEST_CASE(every_function_is_printed_with_its_scalar_form) {
  for (int fn = 0; fn < fn_count(); ++fn) {
    std::vector<std::vector<int64_t>> dense(static_cast<size_t>(fn_info(fn).arity), {1});
    const ChainArgs a = chain(fn_info(fn).name, DType::f64, {100}, dense);
    const std::string text = print_chain(a, walk_chain(a));
    BOOST_TEST(contains(text, "typedef f64 T;"));
    BOOST_TEST(contains(text, "extern \"C\" __global__ void __launch_bounds__(256) chain("));
  }
}
