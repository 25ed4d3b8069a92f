#pragma once
#include <vector>

#include "core/launch.h"
#include "runtime/executor.h"
#include "runtime/plan.h"

namespace maas {

class Context;

// Runs the bound steps of a context on a GPU. The first run of a binding queues them one by one; from the second on a
// graph of all steps between two stops of the host is queued at once.
class GpuRun {
 public:
  GpuRun(const Plan& plan, const std::vector<PlanStep>& steps);
  ~GpuRun();
  GpuRun(const GpuRun&) = delete;

  // Addresses or sizes changed: recorded graphs are stale.
  void forget();
  // As execute() of the executor. Returns when all is queued; waits only where the host must look (host steps, bad
  // data before state is committed).
  void execute(Context& context, size_t commit, const RunOptions& options, Commit* writing);

 private:
  struct Section {  // steps that are queued without a stop
    size_t begin, end;
    void* graph = nullptr;
  };
  void cut(size_t commit);
  void queue(Context& context, Section& section, const RunOptions& options);
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
  size_t cut_at_ = SIZE_MAX;  // the commit point that sections_ know
  int runs_ = 0;              // of this binding
  bool recordable_ = true;
};

}  // namespace maas
