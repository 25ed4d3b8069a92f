#include "ops/pool/pool.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/pool/max_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE max_pool_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/pool/max_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE max_pool_gradient_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/pool/average_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE average_pool_kernels
#include "core/kernel_table.h"

#define MAAS_KERNELS "ops/pool/average_gradient_kernels.inc"
#define MAAS_KERNEL_ARGS PoolArgs
#define MAAS_KERNEL_TABLE average_pool_gradient_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(max_pool, MaxPool)
MAAS_DEFINE_OP(max_pool_gradient, MaxPoolGradient)
MAAS_DEFINE_OP(average_pool, AveragePool)
MAAS_DEFINE_OP(average_pool_gradient, AveragePoolGradient)
const KernelTable& MaxPool::kernels() { return max_pool_kernels; }
const KernelTable& MaxPoolGradient::kernels() { return max_pool_gradient_kernels; }
const KernelTable& AveragePool::kernels() { return average_pool_kernels; }
const KernelTable& AveragePoolGradient::kernels() { return average_pool_gradient_kernels; }

namespace {

template <class T>
Window window(const T& op) {
  return {op.pool_size, op.strides, {}, op.padding, op.pads};
}

template <class T>
Spec pooled(const char* name, const T& op, const Inputs& in) {
  check(in.size() == 1, name, ": one operand is needed, received ", in.size());
  const Shape& x = in[0].shape;
  const Window w = window(op);
  w.check(name, "x", x);
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, name, ": x must be floating, received ", in[0].dtype);
  return {in[0].dtype, image_shape(x[0], w.output(name, x), x.back()), {}};
}

template <class T>
Spec unpooled(const char* name, const T& op, const Inputs& in) {
  const Shape& dy = in[0].shape;
  const Window w = window(op);
  w.check(name, "dy", dy);
  check(op.size.size() == w.rank(), name, ": size must hold ", w.rank(), " spatial sizes, received ",
        to_string(op.size));
  if (!is_floating(in[0].dtype)) fail(ErrorKind::type, name, ": dy must be floating, received ", in[0].dtype);
  const Shape dx = image_shape(dy[0], op.size, dy.back()), fits = w.output(name, dx);
  check(fits == spatial_sizes(dy), name, ": an input of shape ", to_string(dx), " gives ", to_string(fits),
        " outputs, received dy of shape ", to_string(dy));
  return {in[0].dtype, dx, {}};
}

// Whether positions of a window need more than a byte.
template <class T>
bool is_wide(const T& op) {
  int64_t positions = 1;
  for (int64_t k : op.pool_size) positions *= k;
  return positions > 256;
}

template <class To, class From>
To like(const From& from) {
  To op;
  op.pool_size = from.pool_size;
  op.strides = from.strides;
  op.padding = from.padding;
  op.pads = from.pads;
  return op;
}

// `image` has the sizes of the forward pass's input, `windows` those of its output.
template <class T>
void bind_axes(const T& op, const BoundValue& image, const BoundValue& windows, PoolArgs& a) {
  const Window w = window(op);
  PoolAxis axes[3];
  const int missing = 3 - static_cast<int>(w.rank());
  for (int i = 0; i < 3; ++i) {
    axes[i] = {1, 1, 1, 1, 0};
    if (i < missing) continue;
    const size_t s = static_cast<size_t>(i - missing);
    const int64_t in = image.shape[s + 1], out = windows.shape[s + 1];
    axes[i] = {in, out, w.kernel[s], w.stride(s), w.begin(s, in, out)};
  }
  a.d = axes[0];
  a.h = axes[1];
  a.w = axes[2];
  a.n = image.shape[0];
  a.channels = image.shape[image.rank - 1];
  a.wide = is_wide(op);
}

double pool_work(const PoolArgs& a) {
  return 0.05 * static_cast<double>(a.n * a.d.out * a.h.out * a.w.out * a.channels) *
         static_cast<double>(a.d.kernel * a.h.kernel * a.w.kernel + 2);
}

}  // namespace

// ---- max

Specs MaxPool::infer(const Inputs& in) const {
  const Spec y = pooled("max_pool", *this, in);
  return {y, Spec{is_wide(*this) ? DType::i32 : DType::u8, y.shape, {}}};
}

Nodes MaxPool::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  auto op = like<MaxPoolGradient>(*this);
  op.size = spatial_sizes(y.input(0).shape());
  return {apply(std::move(op), {dys[0], y.output(1)})};
}

void MaxPool::bind(const Bind& b, PoolArgs& a) const {
  a.x = b.read(0);
  a.y = b.write(0);
  a.index = b.write(1);
  bind_axes(*this, b.in(0), b.out(0), a);
}
double MaxPool::work(const PoolArgs& a) const { return pool_work(a); }

Specs MaxPoolGradient::infer(const Inputs& in) const {
  check(in.size() == 2, "max_pool_gradient: two operands are needed, received ", in.size());
  const Spec dx = unpooled("max_pool_gradient", *this, in);
  check(in[1].shape == in[0].shape && in[1].dtype == (is_wide(*this) ? DType::i32 : DType::u8),
        "max_pool_gradient: index must be the positions max_pool found, of dy's shape ", to_string(in[0].shape),
        ", received ", in[1].dtype, " ", to_string(in[1].shape));
  return {dx};
}

void MaxPoolGradient::bind(const Bind& b, PoolArgs& a) const {
  a.x = b.read(0);
  a.index = const_cast<void*>(b.read(1));
  a.y = b.write(0);
  bind_axes(*this, b.out(0), b.in(0), a);
}
double MaxPoolGradient::work(const PoolArgs& a) const { return pool_work(a); }

// ---- average

Specs AveragePool::infer(const Inputs& in) const { return {pooled("average_pool", *this, in)}; }

Nodes AveragePool::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  auto op = like<AveragePoolGradient>(*this);
  op.size = spatial_sizes(y.input(0).shape());
  return {apply(std::move(op), {dys[0]})};
}

void AveragePool::bind(const Bind& b, PoolArgs& a) const {
  a.x = b.read(0);
  a.y = b.write(0);
  a.index = nullptr;
  bind_axes(*this, b.in(0), b.out(0), a);
}
double AveragePool::work(const PoolArgs& a) const { return pool_work(a); }

Specs AveragePoolGradient::infer(const Inputs& in) const {
  check(in.size() == 1, "average_pool_gradient: one operand is needed, received ", in.size());
  return {unpooled("average_pool_gradient", *this, in)};
}

Nodes AveragePoolGradient::gradient(const Node&, const Nodes& dys, const Needs&) const {
  return {apply(like<AveragePool>(*this), {dys[0]})};
}

void AveragePoolGradient::bind(const Bind& b, PoolArgs& a) const {
  a.x = b.read(0);
  a.y = b.write(0);
  a.index = nullptr;
  bind_axes(*this, b.out(0), b.in(0), a);
}
double AveragePoolGradient::work(const PoolArgs& a) const { return pool_work(a); }

}  // namespace maas
