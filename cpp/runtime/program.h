#pragma once
#include <atomic>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/numerics.h"
#include "runtime/context.h"
#include "runtime/executor.h"
#include "runtime/segments.h"

namespace maas {

struct StepCost {
  double flops = -1;           // multiplications and additions; negative: few for the bytes
  int64_t bytes = 0;           // read and written
  int team = 1;                // threads that it asks for
  std::vector<int64_t> shape;  // of the first output
};

// A compiled graph: its Plan, the prepared weights, and a pool of Contexts. Any number of threads may call run at once.
// It runs where its state is, and its other state moves there; without state, on this thread's device when it is made.
// It is as exact as this thread's numerics() ask for then.
class Program {
 public:
  Program(const Graph& graph, std::string name);
  ~Program();

  // Inputs in the order of the graph's, dense, of the declared dtype; sizes are checked against the declared shapes.
  // Outputs are fresh arrays. State updates happen or, on an exception, none does.
  std::vector<Array> run(const std::vector<Array>& inputs, const RunOptions& options = {});
  // The same, but false at once if another run holds the state: for callers that must not wait where they are.
  bool try_run(const std::vector<Array>& inputs, const RunOptions& options, std::vector<Array>& outputs);
  // Estimated nanoseconds of the last run on one thread: callers drop the GIL for long ones.
  double work_ns() const { return work_ns_.load(std::memory_order_relaxed); }
  const Plan& plan() const { return *plan_; }
  Device device() const { return plan_->device; }
  // What every step of a run on these inputs costs; empty for a plan of no steps.
  std::vector<StepCost> costs(const std::vector<Array>& inputs);
  // Memory that runs on these inputs' sizes need.
  MemoryReport memory_report(const std::vector<Array>& inputs);
  // From here on the bytes that this program keeps between runs (prepared weights, idle contexts) are part of `total`.
  void count_in(std::atomic<int64_t>& total);
  int64_t held_bytes();
  // For tests and benchmarks: memory plans kept and contexts that wait, and nanoseconds from each of `calls`, one after
  // another, to where its kernels would run.
  std::pair<size_t, size_t> kept();
  std::vector<double> binding_ns(const std::vector<std::vector<Array>>& calls);
  // How many rows a run on these inputs takes at a time: all of them, or fewer where rows do not know of each other.
  int64_t rows_at_once(const std::vector<Array>& inputs);

 private:
  void build();
  void relocate(const RunOptions& options);
  void run_gpu(Context& context, const std::vector<Array>& inputs, const RunOptions& options, MemoryClaim& claim,
               std::vector<Array>& outputs);
  void bind(Context& context, const std::vector<Array>& inputs, MemoryClaim& claim, std::vector<Array>& outputs) const;
  SymbolValues bind_symbols(const std::vector<Array>& inputs) const;
  std::unique_ptr<Context> take(const SymbolValues& symbols, MemoryClaim& claim);
  std::unique_ptr<Context> take_idle(const SymbolValues& symbols, const SymbolValues& capacity);
  std::unique_ptr<Context> make(std::shared_ptr<const MemoryPlan> memory, const SymbolValues& symbols,
                                MemoryClaim& claim);
  void give(std::unique_ptr<Context> context);
  std::shared_ptr<const MemoryPlan> memory_for(const SymbolValues& capacity);
  void prepare(const RunOptions& options);
  std::shared_ptr<StateLock> state_lock(bool wait);
  void hold(int64_t bytes);
  bool run_locked(const std::vector<Array>& inputs, const RunOptions& options, bool wait, std::vector<Array>& outputs);
  void run_held(const SymbolValues& symbols, const std::vector<Array>& inputs, const RunOptions& options,
                std::vector<Array>& outputs);
  bool run_rows(const SymbolValues& symbols, const std::vector<Array>& inputs, const RunOptions& options,
                std::vector<Array>& outputs);
  int64_t rows_at_once(const SymbolValues& symbols, const std::vector<Array>& inputs);
  int64_t choose_turns(const SymbolValues& symbols, const std::vector<Array>& inputs);
  void run_segments(const std::vector<Array>& inputs, RunOptions options, std::vector<Array>& outputs);
  bool prepared_is_fresh() const;

  // Where shapes depend on values: a program for each segment, run one after another; plan_ then only says what goes in
  // and out, and which state is held.
  const Graph graph_;
  const std::string name_;
  const Numerics numerics_;
  std::atomic<int64_t> moves_{-1};
  std::vector<std::shared_ptr<const Plan>> old_plans_;  // of other devices; somebody may still be looking at one

  Segments segments_;
  std::vector<std::unique_ptr<Program>> parts_;

  std::shared_ptr<const Plan> plan_;
  std::vector<Array> prepared_;
  std::vector<int64_t> prepared_versions_;
  bool was_prepared_ = false;
  MemoryClaim prepared_claim_;
  std::unique_ptr<Context> prepare_context_;
  std::atomic<int64_t> prepared_epoch_{-1};
  std::mutex prepare_mutex_;

  std::mutex mutex_;  // guards what follows
  std::vector<std::unique_ptr<Context>> idle_;
  std::vector<std::shared_ptr<const MemoryPlan>> memory_plans_;
  std::shared_ptr<StateLock> state_lock_;
  int64_t merges_ = -1;
  int64_t held_bytes_ = 0;
  std::atomic<int64_t>* held_total_ = nullptr;

  std::atomic<double> work_ns_{0};
  std::vector<std::pair<SymbolValues, int64_t>> row_choices_;  // under mutex_; the oldest first

  friend struct LivePrograms;  // fork handlers
  Program *next_live_ = nullptr, *previous_live_ = nullptr;
};

}  // namespace maas
