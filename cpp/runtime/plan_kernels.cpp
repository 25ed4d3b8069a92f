#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <mutex>
#include <set>

#include "core/error.h"
#include "runtime/host_step.h"
#include "runtime/plan_parts.h"

namespace maas {
namespace {

bool log_kernels() {
  static const bool on = [] {
    const char* v = std::getenv("MAAS_LOG");
    return v && std::strstr(v, "kernels");
  }();
  return on;
}

// A step of the host in the midst of a GPU's costs two waits, so nobody should have one without knowing: a line for
// each op and process.
void tell_host_step(const std::string& op) {
  static std::mutex mutex;
  static std::set<std::string> told;
  std::lock_guard guard(mutex);
  if (told.insert(op).second)
    std::fprintf(stderr, "maas: '%s' has no GPU kernel for these operands and runs on the host\n", op.c_str());
}

Specs specs_of(const NodeData& node) {
  Specs in;
  for (const Node& n : node.inputs) in.push_back(n.spec());
  return in;
}

std::string shapes(const Plan& plan, const PlanStep& step) {
  std::string list;
  for (int v : step.in) {
    const Spec& s = plan.values[static_cast<size_t>(v)].spec;
    list += text(list.empty() ? "" : ", ", s.dtype, to_string(s.shape));
  }
  return list;
}

}  // namespace

void log_step(const Plan& plan, const PlanStep& step) {
  if (log_kernels())
    std::fprintf(stderr, "maas: %s | %s | %s | %s | %s\n", plan.name.c_str(), step.op->name().c_str(),
                 shapes(plan, step).c_str(), step.kernel_name(), step.why.c_str());
}

void choose_kernel(const Plan& plan, PlanStep& step) {
  Specs in, out;
  for (int v : step.in) in.push_back(plan.values[static_cast<size_t>(v)].spec);
  for (int v : step.out) out.push_back(v < 0 ? Spec{} : plan.values[static_cast<size_t>(v)].spec);
  const Choice best = choose_row(*step.op, in, out);
  step.row = best.row;
  if (!step.row)
    fail(ErrorKind::not_implemented, step.op->name(), ": no kernel takes these inputs, received ", shapes(plan, step));
  step.why = text("cost ", best.cost);
  step.workspace = step.op->workspaces(in, out);
  log_step(plan, step);
}

bool device_row(const NodeData& node) {
  return !node.op->control() && choose_row(*node.op, specs_of(node), node.outputs).row;
}

void run_on_host(const Plan& plan, const NodeData& node, std::vector<bool> read, PlanStep& step) {
  step.host = std::make_shared<HostStep>(node.op, specs_of(node), std::move(read), plan.name);
  step.why = "no row of the GPU takes it";
  tell_host_step(node.op->name());
}

}  // namespace maas
