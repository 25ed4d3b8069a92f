// Eight walks at once: each step is a chain of loads, so one walk alone would wait for memory. No branch depends on x.
#include <algorithm>
#include <bit>
#include <limits>

#include "ops/tree/tree_kernels.h"

namespace maas {
namespace {

constexpr int kWalks = 8;
constexpr int64_t kBlock = 256;  // rows that use a tree while its nodes are in the cache

template <class T>
T threshold(const TreeNode& n) {
  if constexpr (sizeof(T) == 4)
    return std::bit_cast<float>(n.low);
  else
    return std::bit_cast<double>(static_cast<uint64_t>(n.high) << 32 | n.low);
}

template <class T>
bool in_set(const TreeArgs& a, const TreeNode& n, T v) {
  const bool missing = (n.feature & TreeNode::missing_left) != 0;
  if (!(v > T(-1) && v < static_cast<T>(n.high))) return missing;
  const auto bit = static_cast<uint32_t>(v);
  const int64_t word = static_cast<int64_t>(n.low) + bit / 32;
  return word < a.set_words && (a.sets[word] >> bit % 32 & 1);
}

template <class T, bool kSpecial>
uint32_t step(const TreeArgs& a, const T* x, uint32_t at, uint32_t last, uint32_t last_feature) {
  const TreeNode n = a.nodes[at];
  const T v = x[std::min(n.feature & TreeNode::feature_mask, last_feature)];
  bool left;
  if (kSpecial && (n.feature & TreeNode::set)) {
    left = in_set(a, n, v);
  } else {
    const T t = threshold<T>(n);
    const bool yes = kSpecial && (n.feature & TreeNode::equal) ? v == t : v <= t;
    left = yes | ((v != v) & (n.feature >> 31));
  }
  return n.left == at ? at : std::min(n.left + (left ? 0u : 1u), last);
}

template <class T, bool kSpecial>
void walk(const TreeArgs& a, const T* const* x, uint32_t* at, int64_t steps) {
  const auto last = static_cast<uint32_t>(a.node_count - 1), last_feature = static_cast<uint32_t>(a.cols - 1);
  for (int i = 0; i < kWalks; ++i) at[i] = std::min(at[i], last);
  for (int64_t s = 0; s < steps; s += 4) {
    for (int few = 0; few < 3; ++few)
      for (int i = 0; i < kWalks; ++i) at[i] = step<T, kSpecial>(a, x[i], at[i], last, last_feature);
    uint32_t moved = 0;
    for (int i = 0; i < kWalks; ++i) {
      const uint32_t next = step<T, kSpecial>(a, x[i], at[i], last, last_feature);
      moved |= next ^ at[i];
      at[i] = next;
    }
    if (!moved) return;
  }
}

// The row of values of the node where a walk ended.
int64_t leaf_of(const TreeArgs& a, uint32_t at) {
  return std::min<int64_t>(a.nodes[at].feature & TreeNode::feature_mask, a.leaves - 1);
}

template <class Value>
void end_walk(const TreeArgs& a, int64_t row, int64_t tree, uint32_t at) {
  const int64_t leaf = leaf_of(a, at);
  if (a.leaf_mode) {
    static_cast<int32_t*>(a.y)[row * a.tree_count + tree] = static_cast<int32_t>(leaf);
    return;
  }
  const int64_t target = a.trees[tree].target;
  const Value* from = static_cast<const Value*>(a.values) + leaf * a.width;
  Value* y = static_cast<Value*>(a.y) + row * a.outputs;
  for (int64_t j = 0; j < a.width && target + j < a.outputs; ++j) y[target + j] += from[j];
}

template <class Value>
void start_rows(const TreeArgs& a, int64_t begin, int64_t end) {
  const Value* base = static_cast<const Value*>(a.base);
  for (int64_t r = begin; r < end; ++r)
    for (int64_t j = 0; j < a.outputs; ++j) static_cast<Value*>(a.y)[r * a.outputs + j] = base[j];
}

template <class T, class Value, bool kSpecial>
void rows(const TreeArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const T* x = static_cast<const T*>(a.x);
  const T* from[kWalks];
  uint32_t at[kWalks];
  if (!a.leaf_mode) start_rows<Value>(a, begin, end);
  const int64_t count = end - begin, last_tree = a.tree_count - 1;
  if (count < kWalks) {
    // Few rows: several trees at once.
    for (int64_t r = begin; r < end; ++r)
      for (int64_t t = 0; t < a.tree_count; t += kWalks) {
        if (t % 1024 == 0 && exec.stopped()) return;
        int64_t steps = 0;
        for (int i = 0; i < kWalks; ++i) {
          const TreeRoot& root = a.trees[std::min(t + i, last_tree)];
          from[i] = x + r * a.cols;
          at[i] = root.root;
          steps = std::max<int64_t>(steps, root.depth);
        }
        walk<T, kSpecial>(a, from, at, std::min(steps, a.node_count));
        for (int i = 0; i < kWalks && t + i < a.tree_count; ++i) end_walk<Value>(a, r, t + i, at[i]);
      }
    return;
  }
  for (int64_t t = 0; t < a.tree_count; ++t) {
    if (t % 16 == 0 && exec.stopped()) return;
    const TreeRoot& root = a.trees[t];
    for (int64_t r = begin; r < end; r += kWalks) {
      for (int i = 0; i < kWalks; ++i) {
        from[i] = x + std::min(r + i, end - 1) * a.cols;
        at[i] = root.root;
      }
      walk<T, kSpecial>(a, from, at, std::min<int64_t>(root.depth, a.node_count));
      for (int i = 0; i < kWalks && r + i < end; ++i) end_walk<Value>(a, r + i, t, at[i]);
    }
  }
}

template <class T>
void run(const TreeArgs& a, int64_t begin, int64_t end, const Exec& exec) {
  const int64_t last = std::min(end * kTreeRows, a.rows);
  for (int64_t r = begin * kTreeRows; r < last; r += kBlock) {
    if (exec.stopped()) return;
    const int64_t stop = std::min(r + kBlock, last);
    if (a.values64)
      a.mixed ? rows<T, double, true>(a, r, stop, exec) : rows<T, double, false>(a, r, stop, exec);
    else
      a.mixed ? rows<T, float, true>(a, r, stop, exec) : rows<T, float, false>(a, r, stop, exec);
  }
}

}  // namespace

void tree_f32_ref(const TreeArgs& a, int64_t begin, int64_t end, const Exec& exec) { run<float>(a, begin, end, exec); }
void tree_f64_ref(const TreeArgs& a, int64_t begin, int64_t end, const Exec& exec) { run<double>(a, begin, end, exec); }

}  // namespace maas
