#include <algorithm>

#include "runtime/control.h"
#include "runtime/plan.h"

namespace maas {
namespace {

constexpr size_t kAlign = 64;
size_t align(size_t n) { return (n + kAlign - 1) / kAlign * kAlign; }

struct Block {
  size_t bytes;
  int first, last;
  size_t* offset;
};

}  // namespace

// Greedy by size: large blocks first, each at the lowest offset free during its life (Pisarchyk and Lee, 2020,
// "Efficient memory management for deep neural net inference", arXiv:2001.03288).
MemoryPlan plan_memory(const Plan& plan, const SymbolValues& capacity) {
  MemoryPlan m;
  m.capacity = capacity;
  m.value_offset.resize(plan.values.size());
  m.value_bytes.resize(plan.values.size());
  m.workspace_offset.resize(plan.steps.size());
  m.workspace_bytes.resize(plan.steps.size());
  m.control.resize(plan.steps.size());
  m.control_offset.resize(plan.steps.size());
  std::vector<Block> blocks;
  for (size_t i = 0; i < plan.values.size(); ++i) {
    const PlanValue& v = plan.values[i];
    if (v.place != Place::arena || v.root != static_cast<int>(i) || v.first < 0) continue;
    m.value_bytes[i] = align(static_cast<size_t>(v.bytes.eval(capacity)));
    blocks.push_back({m.value_bytes[i], v.first, v.last, &m.value_offset[i]});
  }
  for (size_t s = 0; s < plan.steps.size(); ++s) {
    const auto& sizes = plan.steps[s].workspace;
    m.workspace_offset[s].resize(sizes.size());
    for (size_t w = 0; w < sizes.size(); ++w) {
      m.workspace_bytes[s].push_back(align(static_cast<size_t>(sizes[w].eval(capacity))));
      const int at = static_cast<int>(s);
      blocks.push_back({m.workspace_bytes[s][w], at, at, &m.workspace_offset[s][w]});
    }
    if (!plan.steps[s].control) continue;
    const int at = static_cast<int>(s);
    m.control[s] = plan_control(plan.steps[s], capacity);
    blocks.push_back({m.control[s]->total, at, at, &m.control_offset[s]});
  }
  std::stable_sort(blocks.begin(), blocks.end(), [](const Block& a, const Block& b) { return a.bytes > b.bytes; });
  std::vector<const Block*> placed;  // by offset
  for (const Block& b : blocks) {
    size_t at = 0;
    for (const Block* p : placed) {
      if (p->last < b.first || b.last < p->first) continue;
      if (at + b.bytes <= *p->offset) break;
      at = std::max(at, *p->offset + p->bytes);
    }
    *b.offset = at;
    m.arena_bytes = std::max(m.arena_bytes, at + b.bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), &b,
                                   [](const Block* x, const Block* y) { return *x->offset < *y->offset; }),
                  &b);
  }
  return m;
}

}  // namespace maas
