#include <algorithm>

#include "core/allocator.h"
#include "core/error.h"
#include "runtime/align.h"
#include "runtime/control.h"
#include "runtime/plan.h"

namespace maas {
namespace {

struct Block {
  size_t bytes;
  int first, last;
  size_t* offset;
  size_t at = 0;  // in the assignment that is tried
};

// Each block, in this order, at the lowest offset that is free during its life. Returns the bytes that all need.
size_t place(const std::vector<Block*>& order) {
  std::vector<const Block*> placed;  // by offset
  size_t end = 0;
  for (Block* b : order) {
    b->at = 0;
    for (const Block* p : placed) {
      if (p->last < b->first || b->last < p->first) continue;
      if (b->at + b->bytes <= p->at) break;
      b->at = std::max(b->at, p->at + p->bytes);
    }
    end = std::max(end, b->at + b->bytes);
    placed.insert(
        std::upper_bound(placed.begin(), placed.end(), b, [](const Block* x, const Block* y) { return x->at < y->at; }),
        b);
  }
  return end;
}

// The most bytes alive at one step: no assignment can need less.
size_t least(const std::vector<Block>& blocks, size_t steps) {
  std::vector<int64_t> change(steps + 2);
  for (const Block& b : blocks) {
    change[static_cast<size_t>(b.first)] += static_cast<int64_t>(b.bytes);
    change[static_cast<size_t>(b.last) + 1] -= static_cast<int64_t>(b.bytes);
  }
  int64_t now = 0, most = 0;
  for (int64_t c : change) most = std::max(most, now += c);
  return static_cast<size_t>(most);
}

// Greedy by size is best for most graphs (Pisarchyk and Lee, 2020, "Efficient memory management for deep neural net
// inference", arXiv:2001.03288); where it leaves gaps, other orders are tried: by area in bytes and steps, by length of
// life, by first step.
size_t assign(std::vector<Block>& blocks, size_t steps) {
  using Less = bool (*)(const Block*, const Block*);
  const Less orders[] = {
      [](const Block* a, const Block* b) { return a->bytes > b->bytes; },
      [](const Block* a, const Block* b) {
        return a->bytes * static_cast<size_t>(a->last - a->first + 1) >
               b->bytes * static_cast<size_t>(b->last - b->first + 1);
      },
      [](const Block* a, const Block* b) { return a->last - a->first > b->last - b->first; },
      [](const Block* a, const Block* b) { return a->first < b->first; },
  };
  const size_t bound = least(blocks, steps);
  std::vector<Block*> order;
  for (Block& b : blocks)
    if (b.bytes) order.push_back(&b);
  size_t best = SIZE_MAX;
  for (const Less less : orders) {
    std::stable_sort(order.begin(), order.end(), less);
    const size_t bytes = place(order);
    if (bytes >= best) continue;
    best = bytes;
    for (Block* b : order) *b->offset = b->at;
    if (best <= bound + bound / 50) break;
  }
  return best;
}

}  // namespace

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
  m.arena_bytes = assign(blocks, plan.steps.size());
  return m;
}

MemoryReport report_memory(const Plan& plan, const MemoryPlan& memory) {
  MemoryReport r;
  r.arena = memory.arena_bytes;
  r.capacity = memory.capacity;
  std::vector<size_t> live(plan.steps.size() + 1);
  for (size_t i = 0; i < plan.values.size(); ++i) {
    const PlanValue& v = plan.values[i];
    if (v.place != Place::arena || v.root != static_cast<int>(i) || v.first < 0) continue;
    r.without_reuse += memory.value_bytes[i];
    for (int s = v.first; s <= v.last; ++s) live[static_cast<size_t>(s)] += memory.value_bytes[i];
  }
  for (size_t s = 0; s < plan.steps.size(); ++s)
    for (size_t bytes : memory.workspace_bytes[s]) {
      r.without_reuse += bytes;
      live[s] += bytes;
    }
  for (size_t s = 0; s < plan.steps.size(); ++s)
    if (plan.steps[s].control) {
      r.without_reuse += memory.control[s]->total;
      live[s] += memory.control[s]->total;
    }
  for (size_t s = 0; s < live.size(); ++s)
    if (live[s] > r.peak) {
      r.peak = live[s];
      r.peak_step = static_cast<int>(s);
      r.peak_op = s < plan.steps.size() ? plan.steps[s].op->name() : "commit";
    }
  return r;
}

std::string MemoryReport::str() const {
  auto bytes = [](size_t n) { return format_bytes(static_cast<int64_t>(n)); };
  return text("arena ", bytes(arena), ", peak ", bytes(peak),
              peak_step < 0 ? "" : text(" at step ", peak_step, " (", peak_op, ")"), ", without reuse ",
              bytes(without_reuse));
}

}  // namespace maas
