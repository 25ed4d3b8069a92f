#include "graph/passes/rows.h"

#include <algorithm>

#include "graph/op.h"

namespace maas::passes {
namespace {

enum class Kind : uint8_t { free, rowed, mixed };

bool has_symbol(const Dim& d, int64_t symbol) {
  std::vector<std::pair<int64_t, std::string>> symbols;
  d.collect_symbols(symbols);
  return std::any_of(symbols.begin(), symbols.end(), [&](const auto& s) { return s.first == symbol; });
}

// d == symbol * what one row has.
bool counts_rows(const Dim& d, int64_t symbol) {
  const Dim one = d.substitute({{symbol, Dim(1)}});
  return !has_symbol(one, symbol) && d == one * Dim::symbol(symbol, "rows");
}

Kind kind_of(const Spec& s, int64_t symbol) {
  for (size_t a = 1; a < s.shape.size(); ++a)
    if (has_symbol(s.shape[a], symbol)) return Kind::mixed;
  if (s.shape.empty() || !has_symbol(s.shape[0], symbol)) return Kind::free;
  return counts_rows(s.shape[0], symbol) ? Kind::rowed : Kind::mixed;
}

bool keeps_rows(const std::shared_ptr<const NodeData>& node, int64_t symbol) {
  bool any = false;
  for (const Spec& out : node->outputs) {
    const Kind kind = kind_of(out, symbol);
    if (kind == Kind::mixed) return false;
    any = any || kind == Kind::rowed;
  }
  if (!node->op) return true;
  std::vector<bool> rowed;
  for (const Node& in : node->inputs) {
    rowed.push_back(kind_of(in.spec(), symbol) == Kind::rowed);
    any = any || rowed.back();
  }
  if (!any) return true;
  for (const Spec& out : node->outputs)
    if (kind_of(out, symbol) != Kind::rowed) return false;
  // A function of elements is broadcast as its chain would be.
  const RowsRule rule = rows_rule(node->op->elementwise_fn() < 0 ? node->op->name() : "chain");
  return rule && rule(Node(node, 0), rowed);
}

}  // namespace

std::optional<int64_t> row_symbol(const Graph& graph, const std::vector<Guard>& guards) {
  if (!graph.updates.empty() || graph.inputs.empty() || graph.outputs.empty()) return {};
  const Shape& first = graph.inputs[0].shape();
  const int64_t* symbol = first.empty() ? nullptr : first[0].as_symbol();
  if (!symbol) return {};
  for (const Guard& g : guards)
    if (has_symbol(g.a, *symbol) || has_symbol(g.b, *symbol)) return {};
  for (const Node& out : graph.outputs)
    if (kind_of(out.spec(), *symbol) != Kind::rowed) return {};
  for (const auto& node : topological_order(graph.roots()))
    if (!keeps_rows(node, *symbol)) return {};
  return *symbol;
}

}  // namespace maas::passes
