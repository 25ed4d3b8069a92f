// The order of passes.
#include <atomic>
#include <cstdlib>
#include <string_view>

#include "graph/op.h"
#include "graph/passes/passes.h"

namespace maas::passes {
namespace {

std::atomic<bool>& enabled_flag() {
  static std::atomic<bool> on = [] {
    const char* v = std::getenv("MAAS_PASSES");
    return !v || std::string_view(v) != "off";
  }();
  return on;
}

}  // namespace

bool enabled() { return enabled_flag(); }
void set_enabled(bool on) { enabled_flag() = on; }

Graph recognize(const Graph& graph) {
  const Graph merged = merge_equal(graph);
  Graph g = merged;
  for (GraphPass pass : recognitions()) g = pass(g);
  return g.roots() == merged.roots() ? g : merge_equal(g);
}

Graph simplify(const Graph& graph) {
  if (!enabled()) return lower(graph);
  Graph g = recognize(graph);
  // What lies in another order now may be what a family looks for.
  const Graph reordered = layout(g);
  if (reordered.roots() != g.roots()) g = recognize(reordered);
  for (GraphPass pass : family_rewrites()) g = pass(g);
  const Graph lowered = merge_equal(lower(g)), cast = precision(lowered);
  return cast.roots() == lowered.roots() ? cast : merge_equal(cast);
}

Graph optimize(const Graph& graph) {
  Graph g = fuse(simplify(graph));
  if (enabled())
    for (GraphPass pass : joins()) g = pass(g);
  return g;
}

}  // namespace maas::passes
