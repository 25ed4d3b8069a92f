#pragma once
#include <string>
#include <vector>

#include "core/device.h"
#include "graph/graph.h"
#include "graph/op_model.h"
#include "ops/build.h"

// What the normalisations share.
namespace maas::norm {

// Statistics of 16-bit tensors are kept in float32.
inline DType statistics_type(DType x) { return x == DType::f64 ? DType::f64 : DType::f32; }
inline bool is_half(DType t) { return t == DType::f16 || t == DType::bf16; }
// What kernels of a GPU read beside a tensor of this type: statistics' type, and parameters of 16 bits too.
inline bool gpu_reads(DType parameter, DType x) {
  return parameter == statistics_type(x) || (is_half(parameter) && x != DType::f64);
}
// The type a tensor is computed in by kernels of the target: those of a GPU take 16 bits as they are.
inline DType kernel_type(DType x) { return target().is_cpu() ? statistics_type(x) : x; }
// A parameter beside a tensor of that type, so that gradients take it.
inline Node parameter(const Node& p, DType x) { return gpu_reads(p.dtype(), x) ? p : cast(p, statistics_type(x)); }
inline Node mean(const Node& x, const std::vector<int64_t>& axes, bool keepdims) {
  return op("mean", {x}, {{"axis", axes}, {"keepdims", keepdims}});
}

// Brings the named axes to the end, where kernels want them, and back. Nothing happens if they are there.
struct Order {
  Order(const char* op, const std::vector<int64_t>& axis, const Shape& shape);
  Node to_last(const Node& x) const { return trailing ? x : transpose(x, forward); }
  Node back(const Node& x) const { return trailing ? x : transpose(x, backward); }
  std::vector<int64_t> last_axes() const;  // -count ... -1

  size_t count;  // of axes
  bool trailing;
  std::vector<int64_t> forward, backward;
};

// Second derivatives of a backward op: the derivative of its composition. Its inputs are hidden behind identities, so
// that only ways through this op count.
template <class T>
Nodes gradient_of_composition(const T& op, const Node& y, const Nodes& dys) {
  Nodes inputs;
  for (const Node& n : y->inputs) inputs.push_back(unary("identity", n));
  const Nodes outputs = op.composition(inputs);
  Nodes total(inputs.size());
  for (size_t k = 0; k < outputs.size() && k < dys.size(); ++k) {
    if (!dys[k]) continue;
    const Nodes part = gradients(outputs[k], dys[k], inputs);
    for (size_t i = 0; i < part.size(); ++i)
      if (part[i]) total[i] = total[i] ? total[i] + part[i] : part[i];
  }
  return total;
}

}  // namespace maas::norm
