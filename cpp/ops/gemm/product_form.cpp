// Which chains kernels of products apply themselves.
#include <algorithm>

#include "ops/elementwise/elementwise.h"
#include "ops/gemm/gemm.h"

namespace maas {

bool ProductForm::in_library() const {
  return activation != ProductEpilogue::gelu_erf &&
         (!residual || residual_first || activation == ProductEpilogue::none);
}

std::optional<ProductForm> product_form(const Chain& chain, const std::function<bool(int)>& is_row,
                                        const std::function<bool(int)>& is_full) {
  static const int kAdd = find_fn("add"), kRelu = find_fn("relu"), kErf = find_fn("gelu_erf"),
                   kTanh = find_fn("gelu_tanh");
  ProductForm form;
  int value = 0, used = 0;
  for (size_t s = 0; s < chain.steps.size(); ++s) {
    const ChainStep& step = chain.steps[s];
    const bool before = form.activation == ProductEpilogue::none;
    if (step.fn == kAdd) {
      const int other = step.arg[0] == value ? step.arg[1] : step.arg[0];
      if ((step.arg[0] != value && step.arg[1] != value) || other < 1 || other >= chain.inputs) return {};
      if (is_row(other) && before && !form.bias) {
        form.bias = other;
      } else if (is_full(other) && !form.residual) {
        form.residual = other;
        form.residual_first = before;
      } else {
        return {};
      }
      if (form.bias == form.residual) return {};
      ++used;
    } else {
      if (step.arg[0] != value || !before) return {};
      if (step.fn == kRelu)
        form.activation = ProductEpilogue::relu;
      else if (step.fn == kErf)
        form.activation = ProductEpilogue::gelu_erf;
      else if (step.fn == kTanh)
        form.activation = ProductEpilogue::gelu_tanh;
      else
        return {};
    }
    value = chain.inputs + static_cast<int>(s);
  }
  if (used != chain.inputs - 1) return {};
  return form;
}

std::optional<ProductForm> product_form(const Chain& chain, const Specs& extra, const Spec& result) {
  if (result.dtype != DType::f32 && result.dtype != DType::bf16 && result.dtype != DType::f16) return {};
  if (std::any_of(extra.begin(), extra.end(), [&](const Spec& s) { return s.dtype != result.dtype; })) return {};
  const auto spec = [&](int i) -> const Shape& { return extra[static_cast<size_t>(i - 1)].shape; };
  return product_form(
      chain,
      [&](int i) {
        const Shape& s = spec(i);
        return !s.empty() && s.back() == result.shape.back() &&
               std::all_of(s.begin(), s.end() - 1, [](const Dim& d) { return d.is(1); });
      },
      [&](int i) { return spec(i) == result.shape; });
}

}  // namespace maas
