// A product and the depthwise convolution of its result as one op: where two steps become one, and how arguments are
// filled.
#include "ops/conv/expand.h"

#include <algorithm>

#include "core/device.h"
#include "graph/op_model.h"
#include "ops/conv/conv.h"
#include "ops/elementwise/epilogue.h"
#include "ops/gemm/gemm.h"
#include "ops/match.h"

#define MAAS_KERNELS "ops/conv/expand_kernels.inc"
#define MAAS_KERNEL_ARGS ExpandDepthwiseArgs
#define MAAS_KERNEL_TABLE expand_depthwise_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(expand_depthwise, ExpandDepthwise)
const KernelTable& ExpandDepthwise::kernels() { return expand_depthwise_kernels; }

namespace {

template <class T>
const T* op_of(const Node& n) {
  const auto* model = n->op ? dynamic_cast<const OpModel<T>*>(n->op.get()) : nullptr;
  return model ? &model->get() : nullptr;
}

Specs specs_of(const Nodes& nodes, size_t first) {
  Specs specs;
  for (size_t i = first; i < nodes.size(); ++i) specs.push_back(nodes[i].spec());
  return specs;
}

// Images so large that one step's result has left L1 and L2 before the next one reads it, so high that rows made twice
// weigh little, and panels that stay in L2.
bool pays(const Shape& wide, int64_t k) {
  constexpr int64_t kLeastFloats = 32 * 1024, kLeastHeight = 14, kMostWeights = 64 * 1024;
  const int64_t h = wide[1].constant(), w = wide[2].constant(), c = wide[3].constant();
  return h >= kLeastHeight && h * w * c >= kLeastFloats && k * c <= kMostWeights;
}

}  // namespace

Specs ExpandDepthwise::infer(const Inputs& in) const {
  const size_t rows = (expanded.empty() ? 0 : static_cast<size_t>(expanded.inputs - 1)) +
                      (epilogue.empty() ? 0 : static_cast<size_t>(epilogue.inputs - 1));
  check(in.size() == 3 + rows, "expand_depthwise: ", 3 + rows, " operands are needed, received ", in.size());
  Shape wide = in[0].shape;
  check(wide.size() == 4 && in[2].rank() == 4, "expand_depthwise: x and the kernel must have 4 axes, received ",
        to_string(wide), " and ", to_string(in[2].shape));
  wide.back() = Dim(channels);
  return {Spec{in[0].dtype, image_shape(wide[0], over(spatial_of(in[2].shape)).output("conv", wide), wide.back()), {}}};
}

Nodes ExpandDepthwise::composition(const Nodes& inputs) const {
  const auto middle = inputs.begin() + 3 + (expanded.empty() ? 0 : expanded.inputs - 1);
  Gemm gemm;
  gemm.n = channels;
  gemm.nr = nr;
  gemm.epilogue = expanded;
  Nodes wide{inputs[0], inputs[1]};
  wide.insert(wide.end(), inputs.begin() + 3, middle);
  Depthwise depthwise;
  static_cast<WindowOptions&>(depthwise) = *this;
  depthwise.epilogue = epilogue;
  Nodes narrow{apply(gemm, wide), inputs[2]};
  narrow.insert(narrow.end(), middle, inputs.end());
  return {apply(depthwise, narrow)};
}

bool ExpandDepthwise::accepts(const KernelRow& row, const Specs& in, const Specs&) const {
  return row.dtype == in[0].dtype && (row.isa == Isa::none || row.tile[0] == nr);
}

void ExpandDepthwise::bind(const Bind& b, const KernelRow& row, ExpandDepthwiseArgs& a) const {
  const BoundValue &x = b.in(0), &kernel = b.in(2), &y = b.out();
  const int rows = expanded.empty() ? 0 : expanded.inputs - 1;
  a.x = b.read(0);
  a.panels = b.read(1);
  a.k = x.shape[3];
  a.nr = nr;
  a.expanded = {};
  if (!expanded.empty()) bind_epilogue(expanded, b, 3, row.isa, a.expanded);
  DepthwiseArgs& d = a.depthwise;
  d = {};
  d.w = b.read(2);
  d.y = b.write(0);
  d.axes = conv_axes({{kernel.shape[0], kernel.shape[1]}, strides, {}, padding, pads}, false, x, y);
  d.n = x.shape[0];
  d.channels = channels;
  if (!epilogue.empty()) bind_epilogue(epilogue, b, 3 + rows, row.isa, d.epilogue);
  // Enough pixels at once to fill tiles of the product.
  constexpr int64_t kPixels = 48;
  const ConvAxis& h = d.axes.h;
  a.at_once = std::clamp<int64_t>(kPixels / std::max<int64_t>(d.axes.w.in, 1), 1, h.kernel);
  a.blocks = (h.kernel - 1 + a.at_once - 1) / a.at_once + 1;
  a.rows_at = (h.kernel * 16 + 63) / 64 * 64;
}

size_t ExpandDepthwise::scratch(const Args& a) const {
  return static_cast<size_t>(a.rows_at + a.blocks * a.at_once * a.depthwise.axes.w.in * channels * 4 + 64);
}

double ExpandDepthwise::flops(const Args& a) const {
  const ConvAxis &h = a.depthwise.axes.h, &w = a.depthwise.axes.w;
  return 2.0 * static_cast<double>(a.depthwise.n * channels) *
         static_cast<double>(h.in * w.in * a.k + h.out * w.out * h.kernel * w.kernel);
}

double ExpandDepthwise::work(const Args& a) const {
  const ConvAxis &h = a.depthwise.axes.h, &w = a.depthwise.axes.w;
  return static_cast<double>(a.depthwise.n * channels) *
         (1e-2 * static_cast<double>(h.in * w.in * (a.k + 8)) +
          1e-2 * static_cast<double>(h.out * w.out * h.kernel * w.kernel));
}

Graph expand_rows(const Graph& graph) {
  if (!target().is_cpu() || !match::has(graph, {"depthwise"}) || !match::has(graph, {"gemm"})) return graph;
  const passes::Users users(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    const auto* depthwise = op_of<Depthwise>(old);
    if (!depthwise || depthwise->input_gradient || old.dtype() != DType::f32 || old.rank() != 4) return {};
    const Node wide = old.input(0);
    const auto* gemm = op_of<Gemm>(wide);
    if (!gemm || gemm->transpose_a || gemm->matrix || wide.rank() != 4 || !match::only_here(wide, users)) return {};
    const Shape& shape = wide.shape();
    if (!shape[1].is_constant() || !shape[2].is_constant() || !old.shape()[1].is_constant()) return {};
    const Window window = depthwise->over(spatial_of(old.input(1).shape()));
    for (size_t axis = 0; axis < 2; ++axis)
      if (window.dilate(axis) != 1 || window.stride(axis) > window.kernel[axis]) return {};
    if (!pays(shape, wide.input(0).shape()[3].constant())) return {};
    if (!epilogue_in_registers(gemm->epilogue, specs_of(wide->inputs, 2), wide.spec()) ||
        !epilogue_in_registers(depthwise->epilogue, specs_of(old->inputs, 2), old.spec()))
      return {};
    ExpandDepthwise op;
    static_cast<WindowOptions&>(op) = *depthwise;
    op.dilation.clear();
    op.channels = gemm->n;
    op.nr = gemm->nr;
    op.expanded = gemm->epilogue;
    op.epilogue = depthwise->epilogue;
    const Nodes& product = inputs[0]->inputs;
    Nodes all{product[0], product[1], inputs[1]};
    all.insert(all.end(), product.begin() + 2, product.end());
    all.insert(all.end(), inputs.begin() + 2, inputs.end());
    return {apply(std::move(op), std::move(all))};
  });
}

}  // namespace maas
