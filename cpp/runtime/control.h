#pragma once
#include <array>
#include <memory>
#include <vector>

#include "runtime/context.h"

namespace maas {

// Where a step that holds sub-Graphs keeps what it needs, inside one block of the arena around: two buffers for each
// carried value (a turn reads one and writes the other), one step of each slice and stacked output, the condition, and
// one arena in which bodies and condition run in turn.
struct ControlMemory {
  std::vector<std::shared_ptr<const MemoryPlan>> bodies;
  struct Block {
    size_t offset = 0, bytes = 0;
  };
  std::vector<std::array<Block, 2>> carries;
  std::vector<Block> slices, stacked;
  std::array<Block, 2> going_on;
  size_t arena = 0;  // offset
  size_t total = 0;
};
std::shared_ptr<const ControlMemory> plan_control(const PlanStep& step, const SymbolValues& capacity);

// The bound bodies of one step, and the moves between them. The executor walks it: bodies are lists of steps like any.
class ControlRun {
 public:
  ControlRun(const PlanStep& step, std::shared_ptr<const ControlMemory> memory, std::byte* block);

  bool bind_sizes(const SymbolValues& symbols);
  void bind(const BoundValue* in, const BoundValue* out, MemoryClaim& claim);

  bool is_branch() const { return control_.kind == Control::branch; }
  // ---- branch
  Context& chosen();
  // ---- loop. Turns alternate between two bound copies of body and condition.
  int64_t bound() const;  // on the turns; INT64_MAX if none
  Context* condition(int64_t turn) { return condition_.empty() ? nullptr : condition_[turn & 1].get(); }
  Context& body(int64_t turn) { return *body_[turn & 1]; }
  bool goes_on(int64_t turn) const;
  void begin();                              // initial carried values
  void before(int64_t turn, int64_t turns);  // this turn's slices; keeps the carried values if somebody reads them
  void after(int64_t turn, int64_t turns);   // this turn's stacked outputs
  void end(int64_t turns);                   // final carried values, the count, zeros where no turn came

  double work_ns() const { return work_ns_; }
  int team() const { return team_; }
  size_t scratch_needed() const { return scratch_; }
  int64_t barriers() const { return barriers_; }

 private:
  std::byte* at(const ControlMemory::Block& b) const { return block_ + b.offset; }
  int64_t step_of(int64_t turn, int64_t turns) const { return control_.reverse ? turns - 1 - turn : turn; }

  Control control_;
  std::shared_ptr<const ControlMemory> memory_;
  std::byte* block_;
  std::shared_ptr<const Plan> body_plan_;
  std::vector<std::unique_ptr<Context>> branches_, body_, condition_;
  std::vector<BoundValue> in_, out_;
  std::vector<size_t> carry_bytes_, slice_bytes_, stacked_bytes_;
  std::vector<int> stacked_values_, slice_values_, carry_values_;  // in the body's plan
  int64_t length_ = -1;
  double work_ns_ = 0;
  int team_ = 1;
  size_t scratch_ = 0;
  int64_t barriers_ = 1;
};

}  // namespace maas
