// Streams, events and graphs. Work is queued and runs, in order, when somebody waits for it, so that host code that
// forgets to wait shows. MAAS_EMULATOR_EAGER=1 runs it at once.
#include <chrono>
#include <cstdlib>
#include <deque>
#include <memory>
#include <utility>
#include <vector>

#include "core/error.h"
#include "cuda/emulator/emulator.h"

using Work = std::function<void()>;

struct CUgraph_st {
  std::vector<Work> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<std::vector<Work>> nodes;
};
struct CUstream_st {
  std::deque<Work> queue;
  uint64_t pushed = 0, done = 0;
  CUgraph_st* capture = nullptr;
  bool origin = false;  // where the capture began
  bool running = false;
};
struct CUevent_st {
  CUstream_st* stream = nullptr;
  uint64_t position = 0;  // in the stream, of the work before it
  bool recorded = false, done = false, timed = true;
  CUgraph_st* capture = nullptr;
  std::chrono::steady_clock::time_point time;
};

namespace maas::cuda::emulator {
namespace {

struct Streams {
  CUstream_st null;
  std::vector<CUstream_st*> all;
};
Streams& streams() {
  static auto* const s = new Streams;
  return *s;
}
std::vector<CUevent_st*>& events() {
  static auto* const all = new std::vector<CUevent_st*>;
  return *all;
}

CUstream_st* real(cudaStream_t stream) {
  if (!stream || stream == cudaStreamLegacy || stream == cudaStreamPerThread) return &streams().null;
  return stream;
}

void run_one(CUstream_st& s) {
  Work work = std::move(s.queue.front());
  s.queue.pop_front();
  s.running = true;
  work();
  s.running = false;
  ++s.done;
}
void run_until(CUstream_st& s, uint64_t position) {
  while (s.done < position && !s.queue.empty() && !s.running) run_one(s);
}

bool eager() {
  static const bool on = [] {
    const char* const v = std::getenv("MAAS_EMULATOR_EAGER");
    return v && *v && *v != '0';
  }();
  return on;
}

void push(CUstream_st& s, Work work) {
  s.queue.push_back(std::move(work));
  ++s.pushed;
  if (eager() || s.queue.size() > 4096) run_until(s, s.pushed);
}

void end_capture(CUgraph_st* graph) {
  streams().null.capture = nullptr;
  for (CUstream_st* s : streams().all)
    if (s->capture == graph) {
      s->capture = nullptr;
      s->origin = false;
    }
  for (CUevent_st* e : events())
    if (e->capture == graph) e->capture = nullptr;
}

}  // namespace

bool capturing(cudaStream_t stream) { return real(stream)->capture != nullptr; }
bool capturing_any() {
  std::lock_guard guard(lock());
  for (const CUstream_st* s : streams().all)
    if (s->capture) return true;
  return false;
}

void enqueue(cudaStream_t stream, Work work) {
  std::lock_guard guard(lock());
  CUstream_st& s = *real(stream);
  if (s.capture) {
    s.capture->nodes.push_back(std::move(work));
    return;
  }
  // The null stream waits for all others, and they for it.
  if (&s == &streams().null)
    run_all();
  else
    run_stream(nullptr);
  push(s, std::move(work));
}

void run_stream(cudaStream_t stream) {
  std::lock_guard guard(lock());
  CUstream_st& s = *real(stream);
  run_until(s, s.pushed);
}
void run_all() {
  std::lock_guard guard(lock());
  run_until(streams().null, streams().null.pushed);
  for (CUstream_st* s : std::vector<CUstream_st*>(streams().all)) run_until(*s, s->pushed);
}

namespace {
cudaError_t finish() {
  check_guards([] { return std::string(); });
  return device_error() == cudaSuccess ? cudaSuccess : failed(device_error());
}
bool done(const CUevent_st& e) { return !e.recorded || !e.stream || e.stream->done >= e.position; }
}  // namespace

}  // namespace maas::cuda::emulator

using namespace maas::cuda::emulator;

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* out) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  *out = new CUstream_st;
  streams().all.push_back(*out);
  return cudaSuccess;
}
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) { return cudaStreamCreate(out); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* out, unsigned, int) { return cudaStreamCreate(out); }
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  std::lock_guard guard(lock());
  run_stream(stream);
  std::erase(streams().all, stream);
  for (CUevent_st* e : events())
    if (e->stream == stream) e->stream = nullptr;
  delete stream;
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (capturing(stream)) return failed(cudaErrorStreamCaptureUnsupported);
  run_stream(stream);
  return finish();
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  std::lock_guard guard(lock());
  CUstream_st& s = *real(stream);
  if (device_error() != cudaSuccess) return failed(device_error());
  if (s.queue.empty()) return cudaSuccess;
  run_until(s, s.done + 1);
  return cudaErrorNotReady;
}
cudaError_t cudaDeviceSynchronize() {
  std::lock_guard guard(lock());
  if (capturing_any()) return failed(cudaErrorStreamCaptureUnsupported);
  run_all();
  return finish();
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t fn, void* data) {
  enqueue(stream, [fn, data] {
    if (device_error() == cudaSuccess) fn(data);
  });
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* out, unsigned flags) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  *out = new CUevent_st;
  (*out)->timed = !(flags & cudaEventDisableTiming);
  events().push_back(*out);
  return cudaSuccess;
}
cudaError_t cudaEventCreate(cudaEvent_t* out) { return cudaEventCreateWithFlags(out, cudaEventDefault); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  std::lock_guard guard(lock());
  if (event->stream) run_until(*event->stream, event->position);  // its record may still be queued
  std::erase(events(), event);
  delete event;
  return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  CUstream_st& s = *real(stream);
  event->recorded = true;
  if (s.capture) {
    event->capture = s.capture;
    event->stream = nullptr;
    return cudaSuccess;
  }
  event->capture = nullptr;
  enqueue(stream, [event] { event->time = std::chrono::steady_clock::now(); });
  event->stream = &s;
  event->position = s.pushed;
  return cudaSuccess;
}
cudaError_t cudaEventRecordWithFlags(cudaEvent_t event, cudaStream_t stream, unsigned) {
  return cudaEventRecord(event, stream);
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  std::lock_guard guard(lock());
  CUstream_st& s = *real(stream);
  if (event->capture) {  // the stream joins the capture
    if (s.capture && s.capture != event->capture) return failed(cudaErrorStreamCaptureMerge);
    s.capture = event->capture;
    return cudaSuccess;
  }
  if (s.capture) return event->recorded ? failed(cudaErrorStreamCaptureIsolation) : cudaSuccess;
  if (!event->stream || event->stream == &s) return cudaSuccess;
  CUstream_st* const other = event->stream;
  const uint64_t position = event->position;
  if (other->done >= position) return cudaSuccess;
  enqueue(stream, [other, position] {
    for (const CUstream_st* alive : streams().all)
      if (alive == other) run_until(*other, position);
  });
  return cudaSuccess;
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  std::lock_guard guard(lock());
  if (event->capture) return failed(cudaErrorCapturedEvent);
  if (event->stream) run_until(*event->stream, event->position);
  return finish();
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  std::lock_guard guard(lock());
  if (event->capture) return failed(cudaErrorCapturedEvent);
  if (device_error() != cudaSuccess) return failed(device_error());
  if (done(*event)) return cudaSuccess;
  run_until(*event->stream, event->stream->done + 1);
  return cudaErrorNotReady;
}
cudaError_t cudaEventElapsedTime(float* ms, cudaEvent_t start, cudaEvent_t end) {
  std::lock_guard guard(lock());
  if (!start->recorded || !end->recorded || !start->timed || !end->timed) return failed(cudaErrorInvalidResourceHandle);
  if (!done(*start) || !done(*end)) return cudaErrorNotReady;
  *ms = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode) {
  std::lock_guard guard(lock());
  if (real(stream) == &streams().null) return failed(cudaErrorStreamCaptureUnsupported);
  if (capturing(stream)) return failed(cudaErrorIllegalState);
  stream->capture = new CUgraph_st;
  stream->origin = true;
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* out) {
  std::lock_guard guard(lock());
  if (out) *out = nullptr;
  if (!stream || !stream->capture) return failed(cudaErrorIllegalState);
  if (!stream->origin) return failed(cudaErrorStreamCaptureUnmatched);
  CUgraph_st* const graph = stream->capture;
  end_capture(graph);
  *out = graph;
  return cudaSuccess;
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  std::lock_guard guard(lock());
  *status = capturing(stream) ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
  return cudaSuccess;
}
cudaError_t cudaThreadExchangeStreamCaptureMode(cudaStreamCaptureMode*) { return cudaSuccess; }
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  *out = new CUgraphExec_st{std::make_shared<std::vector<Work>>(graph->nodes)};
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiateWithFlags(cudaGraphExec_t* out, cudaGraph_t graph, unsigned long long flags) {
  return cudaGraphInstantiate(out, graph, flags);
}
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* info) {
  std::lock_guard guard(lock());
  if (info) *info = {};
  if (exec->nodes->size() != graph->nodes.size()) {
    if (info) info->result = cudaGraphExecUpdateErrorTopologyChanged;
    return failed(cudaErrorGraphExecUpdateFailure);
  }
  exec->nodes = std::make_shared<std::vector<Work>>(graph->nodes);
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  std::lock_guard guard(lock());
  if (device_error() != cudaSuccess) return failed(device_error());
  enqueue(stream, [nodes = exec->nodes] {
    for (const Work& node : *nodes) node();
  });
  return cudaSuccess;
}
cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) { return cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  delete exec;
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, size_t* count) {
  if (nodes) return failed(cudaErrorNotSupported);
  *count = graph->nodes.size();
  return cudaSuccess;
}

}  // extern "C"
