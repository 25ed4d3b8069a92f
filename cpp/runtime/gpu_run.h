#pragma once
#include <vector>

#include "core/launch.h"
#include "runtime/executor.h"
#include "runtime/plan.h"

namespace maas {

class Context;

// Runs the bound steps of a context on a GPU. The first run with some addresses queues them one by one; from the second
// on a graph of all steps between two stops of the host is queued at once. Graphs of the last few sets of addresses are
// kept: loops over arrays of a GPU come back to the same ones.
class GpuRun {
 public:
  GpuRun(const Plan& plan, const std::vector<PlanStep>& steps);
  ~GpuRun();
  GpuRun(const GpuRun&) = delete;

  // Sizes changed, or memory of the context: recorded graphs are stale.
  void forget();
  // The addresses of inputs and outputs that are bound now.
  void select(std::vector<std::byte*> addresses);
  // As execute() of the executor. Returns when all is queued; waits only where the host must look (host steps, bad
  // data before state is committed).
  void execute(Context& context, size_t commit, const RunOptions& options, Commit* writing);

 private:
  struct Section {  // steps that are queued without a stop
    size_t begin, end;
  };
  struct Recording {
    std::vector<std::byte*> addresses;
    std::vector<void*> graphs;  // by section, null where there is none
    int runs = 0;
    bool possible = true;
  };
  void cut(size_t commit);
  void drop(Recording& recording) noexcept;
  void queue(Context& context, size_t section, const RunOptions& options);
  void launch(Context& context, size_t begin, size_t end, void* stream) const;
  void run_host(Context& context, size_t step, const RunOptions& options) const;
  void check_status() const;

  const Plan& plan_;
  const std::vector<PlanStep>& steps_;
  const int gpu_;
  const int multiprocessors_;
  bool reports_ = false;  // a step may report bad data
  DeviceStatus* status_ = nullptr;
  std::vector<Section> sections_;
  size_t cut_at_ = SIZE_MAX;           // the commit point that sections_ know
  std::vector<Recording> recordings_;  // the last one is the current one
};

}  // namespace maas
