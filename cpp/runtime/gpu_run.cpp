#include "runtime/gpu_run.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "core/error.h"
#include "core/gpu.h"
#include "core/interrupt.h"
#include "runtime/context.h"
#include "runtime/host_step.h"

namespace maas {
namespace {
// A graph of fewer steps saves nothing.
constexpr size_t kLeastGraph = 2;
constexpr size_t kRecordings = 8;
}  // namespace

GpuRun::GpuRun(const Plan& plan, const std::vector<PlanStep>& steps)
    : plan_(plan), steps_(steps), gpu_(plan.device.index), multiprocessors_(gpu().info(gpu_).multiprocessors) {
  for (const PlanStep& s : steps_) reports_ = reports_ || (s.row && s.row->flags & cuda_reports);
  if (reports_) status_ = static_cast<DeviceStatus*>(gpu().allocate(gpu_, sizeof(DeviceStatus)));
}

GpuRun::~GpuRun() {
  try {
    forget();
    if (status_) gpu().deallocate(gpu_, status_, sizeof(DeviceStatus));
  } catch (...) {  // the child of a fork: nothing here is its own
  }
}

void GpuRun::drop(Recording& recording) noexcept {
  for (void* graph : recording.graphs)
    if (graph) gpu().destroy_graph(gpu_, graph);
}

void GpuRun::forget() {
  for (Recording& r : recordings_) drop(r);
  recordings_.clear();
}

void GpuRun::select(std::vector<std::byte*> addresses) {
  const auto found = std::find_if(recordings_.begin(), recordings_.end(),
                                  [&](const Recording& r) { return r.addresses == addresses; });
  if (found != recordings_.end()) {
    std::rotate(found, found + 1, recordings_.end());
    return;
  }
  if (recordings_.size() >= kRecordings) {
    drop(recordings_.front());
    recordings_.erase(recordings_.begin());
  }
  recordings_.push_back({std::move(addresses), std::vector<void*>(sections_.size()), 0, true});
}

// Sections end before and after steps of the host, and at the commit point where the host looks at the status.
void GpuRun::cut(size_t commit) {
  if (cut_at_ == commit) return;
  forget();
  cut_at_ = commit;
  sections_.clear();
  size_t begin = 0;
  for (size_t s = 0; s <= steps_.size(); ++s) {
    const bool stop = s == steps_.size() || steps_[s].host || (s && steps_[s - 1].host) || (reports_ && s == commit);
    if (!stop) continue;
    if (begin < s) sections_.push_back({begin, s});
    begin = s;
  }
}

void GpuRun::launch(Context& context, size_t begin, size_t end, void* stream) const {
  Launch l;
  l.stream = stream;
  l.scratch = context.gpu_scratch();
  l.status = status_;
  l.multiprocessors = multiprocessors_;
  for (size_t s = begin; s < end; ++s) {
    l.step = static_cast<int>(s);
    steps_[s].row->launch(context.steps()[s].args, l);
  }
}

void GpuRun::run_host(Context& context, size_t s, const RunOptions& options) const {
  auto values = [&](const std::vector<int>& list) {
    std::vector<HostStep::Value> out;
    for (int v : list)
      out.push_back(v < 0 ? HostStep::Value{nullptr, {}} : HostStep::Value{context.address(v), context.shape_of(v)});
    return out;
  };
  steps_[s].host->run(plan_.device, values(steps_[s].in), values(steps_[s].out), context.symbols(), options);
}

void GpuRun::queue(Context& context, size_t number, const RunOptions& options) {
  const Section section = sections_[number];
  if (steps_[section.begin].host) return run_host(context, section.begin, options);
  if (options.step_ns) {
    std::vector<void*> marks{gpu().mark(gpu_)};
    for (size_t s = section.begin; s < section.end; ++s) {
      launch(context, s, s + 1, gpu().stream(gpu_));
      marks.push_back(gpu().mark(gpu_));
    }
    for (size_t k = 0; k + 1 < marks.size(); ++k)
      (*options.step_ns)[section.begin + k] += gpu().elapsed_ns(gpu_, marks[k], marks[k + 1]);
    for (void* m : marks) gpu().destroy_mark(gpu_, m);
    return;
  }
  Recording& recording = recordings_.back();
  void*& graph = recording.graphs[number];
  if (!graph && recording.runs > 0 && recording.possible && section.end - section.begin >= kLeastGraph) {
    void* const stream = gpu().begin_capture(gpu_);
    try {
      launch(context, section.begin, section.end, stream);
    } catch (const Error& e) {
      gpu().abandon_capture(gpu_, stream);
      std::fprintf(stderr, "maas: plan '%s' cannot be recorded as a graph and runs step by step: %s\n",
                   plan_.name.c_str(), e.what());
      recording.possible = false;
    }
    if (recording.possible) graph = gpu().end_capture(gpu_, stream);
  }
  if (graph)
    gpu().launch_graph(gpu_, graph);
  else
    launch(context, section.begin, section.end, gpu().stream(gpu_));
}

void GpuRun::check_status() const {
  DeviceStatus found{};
  gpu().download(gpu_, &found, status_, sizeof found);
  if (found.position == -1) return;
  const Op& op = *steps_[static_cast<size_t>(found.step)].op;
  fail_bad_index(op, found.position, found.value);
}

void GpuRun::execute(Context& context, size_t commit, const RunOptions& options, Commit* writing) {
  cut(commit);
  if (recordings_.empty()) select({});
  if (reports_) gpu().fill(gpu_, status_, 0xff, sizeof(DeviceStatus));
  bool committed = false;
  auto begin_writing = [&] {
    if (reports_) check_status();
    if (interrupt_requested() || (options.poll && options.poll())) {
      clear_interrupt();
      fail(ErrorKind::interrupted, "interrupted; no state was written");
    }
    if (writing) writing->begin();
    committed = true;
  };
  for (size_t k = 0; k < sections_.size(); ++k) {
    if (!committed && sections_[k].end > commit) begin_writing();
    if (!committed && interrupt_requested()) {
      clear_interrupt();
      fail(ErrorKind::interrupted, "interrupted; no state was written");
    }
    queue(context, k, options);
  }
  if (!committed) begin_writing();
  ++recordings_.back().runs;
}

}  // namespace maas
