#include "ops/loss/ctc.h"

#include "graph/op_model.h"
#include "ops/build.h"

#define MAAS_KERNELS "ops/loss/ctc_kernels.inc"
#define MAAS_KERNEL_ARGS CtcArgs
#define MAAS_KERNEL_TABLE ctc_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(ctc_loss, CtcLoss)
const KernelTable& CtcLoss::kernels() { return ctc_kernels; }

Specs CtcLoss::infer(const Inputs& in) const {
  check(in.size() == 4, "ctc_loss: logits, labels, label lengths and time lengths are needed, received ", in.size(),
        " operands");
  const Spec& x = in[0];
  if (!is_floating(x.dtype)) fail(ErrorKind::type, "ctc_loss: logits must be floating, received ", x.dtype);
  for (size_t i = 1; i < 4; ++i)
    if (in[i].dtype != DType::i32)
      fail(ErrorKind::type, "ctc_loss: labels and lengths must be int32, received ", in[i].dtype);
  check(x.shape.size() == 3 && !x.shape[2].is(0), "ctc_loss: logits must be (batch, time, classes), received shape ",
        to_string(x.shape));
  check(in[1].shape.size() == 2 && in[1].shape[0] == x.shape[0],
        "ctc_loss: labels must be (batch, length) with the batch of logits ", to_string(x.shape), ", received shape ",
        to_string(in[1].shape));
  for (size_t i = 2; i < 4; ++i)
    check(in[i].shape == Shape{x.shape[0]}, "ctc_loss: lengths must be (batch,) with the batch of logits ",
          to_string(x.shape), ", received shape ", to_string(in[i].shape));
  if (x.shape[2].is_constant())
    check(blank >= 0 && blank < x.shape[2].constant(), "ctc_loss: the blank must be in [0, ", x.shape[2].constant(),
          "), received ", blank);
  return {Spec{x.dtype, {x.shape[0]}, {}}, x};
}

Nodes CtcLoss::gradient(const Node& y, const Nodes& dys, const Needs&) const {
  if (dys.size() > 1 && dys[1])
    fail(ErrorKind::not_implemented, "ctc_loss has no second derivative, received a request for one");
  if (!dys[0]) return {};
  return {y.output(1) * maas::reshape(dys[0], {y.shape()[0], Dim(1), Dim(1)}), Node(), Node(), Node()};
}

void CtcLoss::bind(const Bind& b, CtcArgs& a) const {
  const BoundValue& x = b.in(0);
  a = {};
  a.x = x.data;
  a.labels = b.read<int32_t>(1);
  a.label_lengths = b.read<int32_t>(2);
  a.time_lengths = b.read<int32_t>(3);
  a.loss = b.write(0);
  a.dx = b.write(1);
  a.batch = x.shape[0];
  a.time = x.shape[1];
  a.classes = x.shape[2];
  a.width = b.in(1).shape[1];
  a.blank = blank;
}

}  // namespace maas
