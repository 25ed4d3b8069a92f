#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "core/device.h"
#include "core/isa.h"
#include "graph/graph.h"
#include "graph/op.h"

namespace maas {

// Where a value's bytes are.
enum class Place : uint8_t { arena, input, output, state, constant, prepared, none };

struct PlanValue {
  Spec spec;
  Layout layout;
  int root = -1;  // the value whose buffer this one is a view of or took over; itself for owners
  Place place = Place::none;
  int slot = -1;              // number of the input, output or prepared buffer
  VariablePtr variable;       // state
  Array constant;             // constant, on the plan's device
  int first = -1, last = -1;  // steps of the run list between which an owner is alive
  Dim bytes;                  // of an owner
  // Numbers in Plan::sizes of shape, then strides, then offset and bytes; -1 for what is known.
  std::vector<int> size_ids;
};

class Plan;
class HostStep;

struct PlanStep {
  OpPtr op;
  const KernelRow* row = nullptr;
  std::shared_ptr<HostStep> host;  // of a plan for a GPU: no row takes it, so it runs on the host
  // An op that holds sub-Graphs has no kernel but the plans of its bodies, which know no state and prepare nothing.
  std::optional<Control> control;
  std::vector<std::shared_ptr<const Plan>> bodies;
  const char* kernel_name() const { return row ? row->name : host ? "host" : "sub-plans"; }
  std::vector<int> in, out;  // values; -1 for an output nobody reads
  std::vector<Dim> workspace;
  std::string why;  // why this kernel
};

// Write of an update that could not be made in place: copied after everything else.
struct CommitCopy {
  int value;
  VariablePtr variable;
};

// Immutable: chosen kernels, steps in order, values and layouts, all in symbols. Shared by every run.
class Plan {
 public:
  // For the target of this thread.
  static std::shared_ptr<const Plan> build(const Graph& graph, const std::string& name);
  static int64_t built();  // how many, by this process so far; bodies do not count
  // What goes in and out of a graph that runs as several plans, and the state they use; it has no steps.
  static std::shared_ptr<const Plan> outline(const Graph& graph, const std::string& name,
                                             const std::vector<const Plan*>& parts);
  // Of a body whose nodes have kernels already.
  static std::shared_ptr<const Plan> build_body(const Graph& graph, const std::string& name);

  std::string name;
  Device device;
  Isa isa;
  std::vector<PlanValue> values;
  std::vector<PlanStep> prepare;  // depend on state and constants alone
  std::vector<PlanStep> steps;    // run in order; the commit point is before steps[commit]
  size_t commit = 0;
  std::vector<CommitCopy> copies;
  std::vector<int> inputs, outputs;  // values
  std::vector<std::string> input_names;
  std::vector<VariablePtr> reads;   // state that is read or written
  std::vector<VariablePtr> writes;  // state that is written
  std::vector<VariablePtr> prepared_from;
  std::vector<std::pair<int64_t, std::string>> symbols;
  std::vector<Guard> guards;  // checked when sizes are bound
  // What counts rows, if rows do not know of each other: then a run may take a few at a time.
  std::optional<int64_t> row_symbol;
  std::vector<Dim> sizes;  // every different unknown size, each worked out once when sizes are bound

  std::string str() const;  // a table: step, op, kernel, shapes
};

struct ControlMemory;
// Offsets of every arena value and workspace for one capacity of the symbols.
struct MemoryPlan {
  std::vector<size_t> value_offset;                   // by value; only owners in the arena
  std::vector<std::vector<size_t>> workspace_offset;  // by step
  std::vector<size_t> value_bytes;
  std::vector<std::vector<size_t>> workspace_bytes;
  // By step that holds sub-Graphs: a block that lives during the step, for its bodies and carried values.
  std::vector<std::shared_ptr<const ControlMemory>> control;
  std::vector<size_t> control_offset;
  size_t arena_bytes = 0;
  SymbolValues capacity;
};
MemoryPlan plan_memory(const Plan& plan, const SymbolValues& capacity);

// What the arena of a memory plan holds, in bytes.
struct MemoryReport {
  size_t arena = 0;          // what is allocated
  size_t peak = 0;           // most that is alive at one step: no assignment of offsets can need less
  size_t without_reuse = 0;  // every value and workspace in a place of its own
  int peak_step = -1;
  std::string peak_op;
  SymbolValues capacity;
  std::string str() const;
};
MemoryReport report_memory(const Plan& plan, const MemoryPlan& memory);

}  // namespace maas
