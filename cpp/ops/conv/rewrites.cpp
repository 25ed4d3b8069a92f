// Zeros around an image that only a convolution reads are the convolution's own: it skips them where they lie, and the
// padded image need not exist. Around a ReLU's result they are a max pool's own, too: it looks at nothing outside, and
// no zero is larger than what its windows hold.
#include "ops/match.h"

namespace maas {
namespace {

using match::is;
using match::only_here;
using match::param;

// Zeros before and after the spatial axes of the image, as "explicit" pads say it; empty if it is padded otherwise.
std::vector<int64_t> zeros_around(const Node& padded) {
  const auto before = param<Shape>(padded, "before"), after = param<Shape>(padded, "after");
  const size_t last = before.size() - 1;
  if (param<double>(padded, "value") != 0) return {};
  for (const size_t axis : {size_t{0}, last})
    if (!before[axis].is(0) || !after[axis].is(0)) return {};
  std::vector<int64_t> pads;
  for (size_t axis = 1; axis < last; ++axis) {
    if (!before[axis].is_constant() || !after[axis].is_constant()) return {};
    pads.push_back(before[axis].constant());
    pads.push_back(after[axis].constant());
  }
  return pads;
}

}  // namespace

Graph recognize_padding(const Graph& graph) {
  if (!match::has(graph, {"conv"}) || !match::has(graph, {"pad"})) return graph;
  const passes::Users users(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (!is(old, "conv") || !is(old.input(0), "pad") || !only_here(old.input(0), users)) return {};
    const auto padding = param<std::string>(old, "padding");
    if (padding == "same") return {};
    std::vector<int64_t> pads = zeros_around(old.input(0));
    if (pads.empty()) return {};
    const auto own = param<std::vector<int64_t>>(old, "pads");
    for (size_t i = 0; i < own.size(); ++i) pads[i] += own[i];
    const OpPtr op = match::changed(old, {{"padding", std::string("explicit")}, {"pads", pads}});
    const Node y = apply(op, {inputs[0]->inputs[0], inputs[1]});
    return y.shape() == old.shape() ? Nodes{y} : Nodes{};
  });
}

namespace {

bool is_positive(const Node& x) { return is(x, "relu") || is(x, "relu6"); }

// Every window holds a source, also at the corners.
bool reach_inside(const std::vector<int64_t>& pads, const std::vector<int64_t>& window) {
  for (size_t axis = 0; axis < window.size(); ++axis)
    if (pads[2 * axis] >= window[axis] || pads[2 * axis + 1] >= window[axis]) return false;
  return true;
}

}  // namespace

Graph fold_pool_padding(const Graph& graph) {
  // Gradients of a pool read positions in the image that it saw.
  if (!match::has(graph, {"max_pool"}) || match::has(graph, {"max_pool_gradient"})) return graph;
  const passes::Users users(graph);
  return passes::rewrite(graph, [&](const Node& old, const Nodes& inputs) -> Nodes {
    if (!is(old, "max_pool") || !is(old.input(0), "pad") || !only_here(old.input(0), users)) return {};
    if (param<std::string>(old, "padding") != "valid" || !is_positive(old.input(0)->inputs[0])) return {};
    const std::vector<int64_t> pads = zeros_around(old.input(0));
    if (pads.empty() || !reach_inside(pads, param<std::vector<int64_t>>(old, "pool_size"))) return {};
    const OpPtr op = match::changed(old, {{"padding", std::string("explicit")}, {"pads", pads}});
    const Node y = apply(op, {inputs[0]->inputs[0]});
    if (y.shape() != old.shape()) return {};
    Nodes outputs;
    for (size_t i = 0; i < old->outputs.size(); ++i) outputs.push_back(y.output(static_cast<int>(i)));
    return outputs;
  });
}

}  // namespace maas
