#pragma once
#include <memory>
#include <vector>

#include "core/allocator.h"
#include "core/exec.h"
#include "runtime/plan.h"

namespace maas {

class ControlRun;
class GpuRun;

// One run's memory: arena, bound sizes, bound kernel arguments. Used by one run at a time, reused by the next.
class Context {
 public:
  // `steps` is the plan's run list or its prepare list. `prepared` are the addresses of the prepared buffers. `arena`:
  // memory of the context around, for a body.
  Context(std::shared_ptr<const Plan> plan, const std::vector<PlanStep>& steps,
          std::shared_ptr<const MemoryPlan> memory, const std::vector<Array>& prepared, std::byte* arena = nullptr);
  ~Context();
  Context(const Context&) = delete;

  struct Step {
    const PlanStep* plan;
    void* args;
    int64_t phases = 1;
    int64_t units = 0;  // of phase 0; later phases are asked for
    int team = 1;
    size_t scratch = 0;
    double work_ns = 0;
    std::shared_ptr<ControlRun> control;  // of a step that holds sub-Graphs
  };

  // False if the sizes do not fit what was planned (a size that shrinks while the batch grows).
  bool bind_sizes(const SymbolValues& symbols);
  void bind_io(const std::vector<Array>& inputs, const std::vector<Array>& outputs);
  void bind_addresses(const std::vector<std::byte*>& inputs, const std::vector<std::byte*>& outputs);
  // Binds the steps whose sizes or addresses changed. After this, run. Scratch that is still missing is claimed first.
  void bind_steps(MemoryClaim& claim);

  // The next runs have one thread, and scratch for one. Before bind_steps.
  void stay_alone(bool alone) {
    any_dirty_ = any_dirty_ || alone != alone_;
    alone_ = alone;
  }

  const SymbolValues& symbols() const { return symbols_; }
  const MemoryPlan& memory() const { return *memory_; }
  std::vector<int64_t> shape_of(int value) const;
  const std::vector<Step>& steps() const { return run_; }
  std::byte* address(int value) const { return bound_[static_cast<size_t>(value)].data; }
  size_t bytes_of(int value) const;
  size_t held_bytes() const;
  // Of a plan for a GPU; null on the host.
  GpuRun* gpu_run() const { return gpu_run_.get(); }
  void* gpu_scratch() const { return gpu_scratch_ ? gpu_scratch_->data() : nullptr; }
  // The address of an array of the GPU that came for this input, if the last one had the same.
  bool came_before(size_t slot, const std::byte* data) {
    last_inputs_.resize(fixed_inputs_.size());
    const bool same = last_inputs_[slot] == data;
    last_inputs_[slot] = data;
    return same;
  }
  // Memory of the GPU for an input or output that is copied: then its address stays, as graphs need. Made when asked
  // for.
  std::byte* fixed_input(size_t slot) { return fixed(fixed_inputs_, slot, plan_->inputs); }
  std::byte* fixed_output(size_t slot) { return fixed(fixed_outputs_, slot, plan_->outputs); }
  double work_ns() const { return work_ns_; }
  int team() const { return team_; }
  size_t scratch_needed() const { return scratch_needed_; }  // bytes per worker
  Status& status() { return status_; }
  // Scratch for `workers`, each with what its largest step needs. Grows only while binding.
  std::byte* scratch(int worker) const {
    return static_cast<std::byte*>(scratch_.data()) + scratch_stride_ * static_cast<size_t>(worker);
  }

 private:
  void rebase(int value, std::byte* base);
  std::byte* fixed(std::vector<std::shared_ptr<Storage>>& blocks, size_t slot, const std::vector<int>& values);
  void bind_gpu_steps();

  std::shared_ptr<const Plan> plan_;
  std::shared_ptr<const MemoryPlan> memory_;
  const bool body_;  // runs in the memory of the context around
  HostBuffer arena_;
  std::shared_ptr<Storage> gpu_arena_, gpu_scratch_;
  std::vector<std::shared_ptr<Storage>> fixed_inputs_, fixed_outputs_;
  std::vector<const std::byte*> last_inputs_;
  std::unique_ptr<GpuRun> gpu_run_;
  std::byte* base_;
  HostBuffer scratch_;
  size_t scratch_stride_ = 0, scratch_needed_ = 0;
  std::vector<BoundValue> in_, out_;  // of the step that is bound; here, so that nothing clears them each time
  std::vector<HostBuffer> args_;
  std::vector<Step> run_;
  std::vector<BoundValue> bound_;
  std::vector<std::vector<int64_t>> sizes_;                   // by value: shape, strides, offset, bytes
  std::vector<int64_t> evaluated_;                            // the plan's unknown sizes
  std::vector<int64_t> offsets_;                              // by value, bytes into its buffer
  std::vector<std::vector<int>> value_steps_;                 // steps that touch a value
  std::vector<std::vector<int>> slot_inputs_, slot_outputs_;  // values by input and output slot
  std::vector<char> dirty_;
  bool any_dirty_ = true;
  SymbolValues symbols_;
  bool sized_ = false, resized_ = false, alone_ = false;
  double work_ns_ = 0;
  int team_ = 1;
  Status status_;
};

}  // namespace maas
