#include "runtime/eager.h"

#include <atomic>
#include <list>
#include <mutex>
#include <unordered_map>

#include "core/error.h"
#include "core/fork.h"
#include "core/numerics.h"

namespace maas {
namespace {

constexpr size_t kPrograms = 1024;
constexpr int64_t kBytes = int64_t{256} << 20;  // of prepared weights, arenas and scratch that idle programs keep
std::atomic<int64_t> g_bytes{0};
std::mutex g_mutex;  // held across fork
const bool g_fork_handlers = [] {
  at_fork(ForkOrder::eager, {[] { g_mutex.lock(); }, [] { g_mutex.unlock(); }, [] { g_mutex.unlock(); }});
  return true;
}();
std::list<std::pair<std::string, std::shared_ptr<Program>>> g_recent;  // most recent first
std::unordered_map<std::string, decltype(g_recent)::iterator> g_index;

using Dropped = std::vector<std::shared_ptr<Program>>;

// Drops what was not used for longest until the cache is within its bounds, but never the newest. g_mutex is held; the
// caller frees what was dropped after it let go.
void shrink(Dropped& dropped) {
  int64_t over = g_bytes.load(std::memory_order_relaxed) - kBytes;
  while (g_recent.size() > 1 && (over > 0 || g_recent.size() > kPrograms)) {
    over -= g_recent.back().second->held_bytes();
    g_index.erase(g_recent.back().first);
    dropped.push_back(std::move(g_recent.back().second));
    g_recent.pop_back();
  }
}

std::shared_ptr<Program> find(const std::string& key) {
  Dropped dropped;
  std::lock_guard guard(g_mutex);
  auto it = g_index.find(key);
  if (it == g_index.end()) return nullptr;
  g_recent.splice(g_recent.begin(), g_recent, it->second);
  if (g_bytes.load(std::memory_order_relaxed) > kBytes) shrink(dropped);
  return g_recent.begin()->second;
}

void keep(const std::string& key, const std::shared_ptr<Program>& program) {
  Dropped dropped;
  std::lock_guard guard(g_mutex);
  if (g_index.count(key)) return;
  program->count_in(g_bytes);
  g_recent.emplace_front(key, program);
  g_index[key] = g_recent.begin();
  shrink(dropped);
}

}  // namespace

std::shared_ptr<Program> eager_program(const OpPtr& op, const std::vector<Array>& inputs, bool all_outputs) {
  // Where an operand lies on a GPU, the op runs there.
  Device device = current_device();
  for (const Array& a : inputs)
    if (!a.device().is_cpu()) device = a.device();
  const DeviceScope scope(device);
  std::string key =
      text(all_outputs ? "*" : "", op->str(), " ", static_cast<uint32_t>(active_isa()), " ", to_string(device));
  for (const Array& a : inputs) {
    key += text(" ", static_cast<int>(a.dtype));
    for (int64_t s : a.shape) key += text(",", s);
  }
  auto program = find(key);
  if (!program) {
    Graph graph;
    for (size_t i = 0; i < inputs.size(); ++i)
      graph.inputs.push_back(input_node({inputs[i].dtype, to_shape(inputs[i].shape), {}}, text("operand ", i)));
    const Node result = apply(op, graph.inputs);
    const int count = all_outputs ? static_cast<int>(result->outputs.size()) : op->visible_outputs();
    for (int i = 0; i < count; ++i) graph.outputs.push_back(result.output(i));
    const NumericsScope exact({.exact = true});
    program = std::make_shared<Program>(graph, op->name());
    keep(key, program);
  }
  return program;
}

void clear_eager() {
  decltype(g_recent) dropped;
  std::lock_guard guard(g_mutex);
  g_index.clear();
  g_recent.swap(dropped);
}

EagerStats eager_stats() {
  std::lock_guard guard(g_mutex);
  return {g_recent.size(), g_bytes.load(std::memory_order_relaxed)};
}

}  // namespace maas
