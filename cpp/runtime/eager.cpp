#include "runtime/eager.h"

#include <list>
#include <mutex>
#include <unordered_map>

#include "core/error.h"

namespace maas {
namespace {

constexpr size_t kPrograms = 1024;
std::mutex g_mutex;
std::list<std::pair<std::string, std::shared_ptr<Program>>> g_recent;  // most recent first
std::unordered_map<std::string, decltype(g_recent)::iterator> g_index;

std::shared_ptr<Program> find(const std::string& key) {
  std::lock_guard guard(g_mutex);
  auto it = g_index.find(key);
  if (it == g_index.end()) return nullptr;
  g_recent.splice(g_recent.begin(), g_recent, it->second);
  return it->second->second;
}

void keep(const std::string& key, const std::shared_ptr<Program>& program) {
  std::lock_guard guard(g_mutex);
  if (g_index.count(key)) return;
  g_recent.emplace_front(key, program);
  g_index[key] = g_recent.begin();
  if (g_recent.size() > kPrograms) {
    g_index.erase(g_recent.back().first);
    g_recent.pop_back();
  }
}

}  // namespace

std::shared_ptr<Program> eager_program(const OpPtr& op, const std::vector<Array>& inputs, bool all_outputs) {
  std::string key = text(all_outputs ? "*" : "", op->str(), " ", static_cast<uint32_t>(active_isa()));
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
    program = std::make_shared<Program>(graph, op->name());
    keep(key, program);
  }
  return program;
}

void clear_eager() {
  std::lock_guard guard(g_mutex);
  g_index.clear();
  g_recent.clear();
}

}  // namespace maas
