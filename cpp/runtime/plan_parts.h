#pragma once
// The parts of building a Plan that need no more of it than they say.
#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "runtime/plan.h"

namespace maas {

// When the nodes of a graph run.
struct NodeOrder {
  std::vector<std::shared_ptr<const NodeData>> nodes;  // inputs first
  std::unordered_map<const NodeData*, size_t> position;
  std::unordered_set<const NodeData*> fixed;                   // depend on parameters alone: the prepare list
  std::unordered_set<const NodeData*> post;                    // may run behind the commit point
  std::unordered_map<const Variable*, size_t> last_post_read;  // position of its last reader behind the commit point
};
// Of a body (run many times by the plan around it) nothing is prepared.
NodeOrder order_nodes(const Graph& graph, bool body);

// The kernel of a step on its values, with its workspaces.
void choose_kernel(const Plan& plan, PlanStep& step);
// True if a row of the GPU takes the node.
bool device_row(const NodeData& node);
// Else a program of the host runs it. `read`: by output, whether anybody reads it.
void run_on_host(const Plan& plan, const NodeData& node, std::vector<bool> read, PlanStep& step);

// Under MAAS_LOG=kernels: op, shapes, kernel and reason.
void log_step(const Plan& plan, const PlanStep& step);

// What follows from the steps: lifetimes of values, symbols, numbers of sizes.
void complete(Plan& plan);

}  // namespace maas
