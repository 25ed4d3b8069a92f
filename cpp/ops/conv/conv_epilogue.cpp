#include "ops/conv/conv_epilogue.h"

#include <algorithm>

#include "core/error.h"
#include "ops/elementwise/elementwise.h"

namespace maas {
namespace {

// Inputs of the chain, 0 where left out.
struct Found {
  int scale = 0, bias = 0, add = 0, mask = 0;
  bool relu = false, fits = false;
};

// row(i), full(i): whether chain input i is a row of the result, or as large as the result. May both be true.
template <class Row, class Full>
Found find(const Chain& chain, Row row, Full full) {
  static const int kAdd = find_fn("add"), kMultiply = find_fn("multiply"), kRelu = find_fn("relu"),
                   kMask = find_fn("relu_gradient");
  Found f;
  int value = 0;
  for (size_t s = 0; s < chain.steps.size(); ++s) {
    const ChainStep& step = chain.steps[s];
    const bool second = step.arg[0] != value;
    const int other = second ? step.arg[0] : step.arg[1];
    const bool operand = other > 0 && other < chain.inputs && (second ? step.arg[1] : step.arg[0]) == value;
    const bool sums = f.bias || f.add, last = f.relu || f.mask;
    if (step.fn == kRelu && !second && !last)
      f.relu = true;
    else if (step.fn == kMultiply && operand && row(other) && !f.scale && !sums && !last)
      f.scale = other;
    else if (step.fn == kAdd && operand && row(other) && !f.bias && !last)
      f.bias = other;
    else if (step.fn == kAdd && operand && full(other) && !f.add && !last)
      f.add = other;
    else if (step.fn == kMask && operand && !second && full(other) && !f.mask)
      f.mask = other;
    else
      return {};
    value = chain.inputs + static_cast<int>(s);
  }
  f.fits = !chain.empty();
  return f;
}

bool is_row(const Shape& shape, const Shape& result) {
  if (shape.empty() || !(shape.back() == result.back())) return false;
  return std::all_of(shape.begin(), shape.end() - 1, [](const Dim& d) { return d.is(1); });
}

}  // namespace

bool conv_epilogue_fits(const Chain& chain, const Specs& extra, const Spec& result) {
  const DType t = result.dtype;
  if (t != DType::f32 && t != DType::bf16 && t != DType::f16) return false;
  if (!std::all_of(extra.begin(), extra.end(), [&](const Spec& s) { return s.dtype == t; })) return false;
  auto shape = [&](int i) -> const Shape& { return extra[static_cast<size_t>(i - 1)].shape; };
  return find(
             chain, [&](int i) { return is_row(shape(i), result.shape); },
             [&](int i) { return shape(i) == result.shape; })
      .fits;
}

void bind_conv_epilogue(const Chain& chain, const Bind& b, int first, ConvEpilogue& e) {
  e = {};
  if (chain.empty()) return;
  const BoundValue& y = b.out();
  const int64_t columns = y.shape[y.rank - 1];
  auto in = [&](int i) -> const BoundValue& { return b.in(first + i - 1); };
  const Found f = find(
      chain, [&](int i) { return in(i).rank > 0 && in(i).shape[in(i).rank - 1] == columns && in(i).size() == columns; },
      [&](int i) { return in(i).size() == y.size(); });
  check(f.fits, "conv: an epilogue that the kernels do not know, received ", to_text(chain));
  auto data = [&](int i) -> const void* { return i ? in(i).data : nullptr; };
  e = {data(f.scale), data(f.bias), data(f.add), data(f.mask), f.relu};
}

}  // namespace maas
