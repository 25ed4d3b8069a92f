#pragma once
// A row walks every tree from its root to a leaf; y[r][target + j] += values[leaf][j], trees in order, sums in the
// dtype of values.
//
// x: rows x cols, dense. nodes: count x 4 int32:
//   [0] the feature in the low 28 bits and flags above: missing_left (where a NaN goes), equal, set.
//       Of a leaf: its row of `values`.
//   [1] the left child; the right one is the node behind it. A leaf names itself.
//   [2] float32 x: the bits of the threshold; [2], [3] float64 x: its low and high half.
//       set: the first word of the set in `sets`, and its number of bits.
// A row goes left where x <= threshold, x == threshold (equal), or bit x of the set is 1 (set; x is cut to an integer;
// one outside of the bits goes where NaN goes). Nothing leaves a leaf.
// trees: count x 3 int32: root, depth (edges of the longest way), target column.
// values: leaves x width. base: where the sums start.
// Modes: sum: y is rows x outputs. leaf: y is rows x trees int32, the row of `values` where each tree ended.
//
// Every value of nodes, trees and sets is memory-safe: a bad node, feature or leaf reads the last one there is, a bad
// word of a set is 0, a bad target is dropped; no walk is longer than the number of nodes. Denormals are 0.
// Unit: kTreeRows rows. A row's sums do not depend on the rows beside it.
#include <cstdint>

#include "core/exec.h"

namespace maas {

constexpr int64_t kTreeRows = 32;

struct TreeNode {
  enum : uint32_t { missing_left = 1u << 31, equal = 1u << 30, set = 1u << 29, feature_mask = (1u << 28) - 1 };
  uint32_t feature;
  uint32_t left;
  uint32_t low, high;
};

struct TreeRoot {
  uint32_t root, depth, target;
};

struct TreeArgs {
  const void* x;
  const TreeNode* nodes;
  const TreeRoot* trees;
  const void* values;
  const uint32_t* sets;
  const void* base;
  void* y;
  int64_t rows, cols, node_count, tree_count, leaves, width, set_words, outputs;
  bool leaf_mode, values64, mixed;  // mixed: some node may be equal or set
};

}  // namespace maas
