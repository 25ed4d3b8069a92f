#include "ops/tree/tree.h"

#include <algorithm>
#include <cmath>

#include "graph/op_model.h"

#define MAAS_KERNELS "ops/tree/kernels.inc"
#define MAAS_KERNEL_ARGS TreeArgs
#define MAAS_KERNEL_TABLE tree_kernels
#include "core/kernel_table.h"

namespace maas {

MAAS_DEFINE_OP(tree, Tree)
const KernelTable& Tree::kernels() { return tree_kernels; }

namespace {

bool is_f32_or_f64(DType t) { return t == DType::f32 || t == DType::f64; }

void check_table(const char* name, const Spec& in, int64_t columns) {
  if (in.dtype != DType::i32) fail(ErrorKind::type, "tree: ", name, " must be int32, received ", in.dtype);
  const bool fits =
      columns ? in.rank() == 2 && in.shape[1].is_constant() && in.shape[1].constant() == columns : in.rank() == 1;
  check(fits && in.shape[0].is_constant(), "tree: ", name, " must have shape (n", columns ? ", " : ",",
        columns ? text(columns) : "", ") of a known n, received ", to_string(in.shape));
}

}  // namespace

Specs Tree::infer(const Inputs& in) const {
  check(in.size() == 6, "tree: six operands are needed, received ", in.size());
  if (!is_f32_or_f64(in[0].dtype)) fail(ErrorKind::type, "tree: x must be float32 or float64, received ", in[0].dtype);
  check(in[0].rank() == 2 && in[0].shape[1].is_constant() && in[0].shape[1].constant() >= 1,
        "tree: x must have shape (rows, features) of a known number of features, received ", to_string(in[0].shape));
  check_table("nodes", in[1], 4);
  check_table("trees", in[2], 3);
  check_table("sets", in[4], 0);
  if (!is_f32_or_f64(in[3].dtype))
    fail(ErrorKind::type, "tree: values must be float32 or float64, received ", in[3].dtype);
  check(in[3].rank() == 2 && in[3].shape[0].is_constant() && in[3].shape[1].is_constant() &&
            in[3].shape[0].constant() >= 1,
        "tree: values must have shape (leaves, width) with one leaf or more, received ", to_string(in[3].shape));
  check(in[1].shape[0].constant() >= 1 && in[1].shape[0].constant() <= INT32_MAX,
        "tree: nodes must be from 1 to 2^31 - 1, received ", to_string(in[1].shape));
  if (in[5].dtype != in[3].dtype)
    fail(ErrorKind::type, "tree: base must have the dtype of values, ", in[3].dtype, ", received ", in[5].dtype);
  check(in[5].rank() == 1 && in[5].shape[0].is_constant(), "tree: base must have shape (outputs,), received ",
        to_string(in[5].shape));
  if (leaf) return {Spec{DType::i32, {in[0].shape[0], in[2].shape[0]}, {}}};
  return {Spec{in[3].dtype, {in[0].shape[0], in[5].shape[0]}, {}}};
}

void Tree::bind(const Bind& b, TreeArgs& a) const {
  a = {};
  a.x = b.read(0);
  a.nodes = static_cast<const TreeNode*>(static_cast<const void*>(b.read(1)));
  a.trees = static_cast<const TreeRoot*>(static_cast<const void*>(b.read(2)));
  a.values = b.read(3);
  a.sets = static_cast<const uint32_t*>(static_cast<const void*>(b.read(4)));
  a.base = b.read(5);
  a.y = b.write(0);
  a.rows = b.in(0).shape[0];
  a.cols = b.in(0).shape[1];
  a.node_count = b.in(1).shape[0];
  a.tree_count = b.in(2).shape[0];
  a.leaves = b.in(3).shape[0];
  a.width = b.in(3).shape[1];
  a.set_words = b.in(4).shape[0];
  a.outputs = b.in(5).shape[0];
  a.leaf_mode = leaf;
  a.values64 = b.in(3).dtype == DType::f64;
  a.mixed = mixed;
}

// About two nanoseconds a step, and as many steps as a balanced tree has.
double Tree::work(const TreeArgs& a) const {
  const auto trees = static_cast<double>(std::max<int64_t>(a.tree_count, 1));
  const double steps = 1 + std::log2(1 + static_cast<double>(a.node_count) / trees);
  return static_cast<double>(a.rows) * trees * (2 * steps + 0.3 * static_cast<double>(a.width));
}

}  // namespace maas
