// Threads of a block. They run one after the other on one stack as long as they return; one that has to wait keeps its
// stack, and the next goes on with another. Blocks run one after the other.
#include <sys/mman.h>
#include <xmmintrin.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "cuda/emulator/collectives.h"
#include "cuda/emulator/device.h"
#include "cuda/emulator/emulator.h"

uint3 threadIdx;
uint3 blockIdx;
dim3 blockDim;
dim3 gridDim;

// Saves the registers that a call preserves, stores the stack in *save, goes on where `to` was saved.
extern "C" __attribute__((visibility("hidden"))) void maas_fiber_switch(void** save, void* to);
asm(R"(
.text
.globl maas_fiber_switch
.hidden maas_fiber_switch
.type maas_fiber_switch,@function
maas_fiber_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size maas_fiber_switch,.-maas_fiber_switch
)");

namespace maas::cuda::emulator {
namespace {

constexpr size_t kStack = 128 * 1024, kPage = 4096;

struct Stack {
  char* top;
};

// Stacks are kept. The lowest page of each faults, so that an overflow does not write into the next.
class Stacks {
 public:
  Stack* take() {
    if (free_.empty()) {
      void* p = mmap(nullptr, kStack, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED || mprotect(p, kPage, PROT_NONE) != 0) std::abort();  // no way out of a fiber
      // Tops at different offsets, so that stacks do not fight for the same cache sets.
      all_.push_back(std::make_unique<Stack>(Stack{static_cast<char*>(p) + kStack - (all_.size() % 61 + 1) * 64}));
      return all_.back().get();
    }
    Stack* const s = free_.back();
    free_.pop_back();
    return s;
  }
  void give(Stack* s) { free_.push_back(s); }
  void take_back_all() {
    free_.clear();
    for (const auto& s : all_) free_.push_back(s.get());
  }

 private:
  std::vector<std::unique_ptr<Stack>> all_;
  std::vector<Stack*> free_;
};

struct Copy {
  void* to;
  const void* from;
  int bytes;
  bool read;
};
struct Thread {
  void* sp = nullptr;
  Stack* stack = nullptr;
  bool done = false;
  std::vector<Copy> copies;  // not yet made
  std::vector<size_t> ends;  // of committed groups, in `copies`
};

struct Rendezvous {
  unsigned mask, arrived;
  Meeting kind;
  void* records[32];
  Complete complete;
};

struct Block {
  Stacks stacks;
  std::vector<Thread> threads;
  const std::function<void()>* body = nullptr;
  int count = 0, live = 0, started = 0, current = -1;
  std::vector<int> order;  // in which threads start
  std::vector<int> ready;  // those that may go on; from `ready_from`, first in first out
  size_t ready_from = 0;
  Stack* current_stack = nullptr;
  Stack* spare = nullptr;  // stack that was left for good: free once another one runs
  void* main_sp = nullptr;
  bool running = false;
  // Barrier
  std::vector<int> waiting;
  int votes = 0;
  BarrierResult result{};
  // Warps
  std::vector<std::vector<Rendezvous>> meetings;
  std::vector<unsigned> live_lanes;
  KernelResult failure;
  // Shuffled order
  bool shuffled = false;
  uint64_t random = 0;
  std::vector<unsigned char> shared = std::vector<unsigned char>(kSharedPerBlock + 256);

  // Threads that spin
  int64_t spins = 0;
  int named[16] = {};
  uint64_t named_turns[16] = {};

  uint64_t next_random() {
    random ^= random << 13;
    random ^= random >> 7;
    random ^= random << 17;
    return random;
  }
  bool any_ready() const { return ready_from < ready.size(); }
  int take_ready() {
    if (shuffled) std::swap(ready[ready_from], ready[ready_from + next_random() % (ready.size() - ready_from)]);
    const int t = ready[ready_from++];
    if (ready_from == ready.size()) {
      ready.clear();
      ready_from = 0;
    }
    return t;
  }
};

Block& block() {
  static auto* const b = new Block;
  return *b;
}

void become(int t) {
  Block& b = block();
  b.current = t;
  const auto x = static_cast<unsigned>(t);
  threadIdx.x = x % blockDim.x;
  threadIdx.y = x / blockDim.x % blockDim.y;
  threadIdx.z = x / (blockDim.x * blockDim.y);
}

void fiber_main();

// A stack that starts in fiber_main when switched to.
void* fresh(const Stack* stack) {
  auto* const sp = reinterpret_cast<uint64_t*>(stack->top - 64);  // 16-byte aligned
  for (int i = 0; i < 6; ++i) sp[i] = 0;
  sp[6] = reinterpret_cast<uint64_t>(&fiber_main);
  sp[7] = 0;
  return sp;
}

void to_main() {
  void* unused;
  maas_fiber_switch(&unused, block().main_sp);
  __builtin_unreachable();
}

void stop(cudaError_t error, const std::string& what) {
  Block& b = block();
  if (b.failure.error == cudaSuccess) b.failure = {error, what};
  to_main();
}

std::string deadlock_text() {
  Block& b = block();
  int warps = 0;
  for (const auto& list : b.meetings)
    for (const Rendezvous& r : list) warps += std::popcount(r.arrived);
  return text("deadlock: ", b.waiting.size(), " threads wait at __syncthreads, ", warps,
              " in collectives of their warps, ", b.count - b.live, " have returned");
}

// After a switch: the stack that was left for good may be used again.
void arrived() {
  Block& b = block();
  if (b.spare) {
    b.stacks.give(b.spare);
    b.spare = nullptr;
  }
}

// The running thread waits: another one goes on.
void wait() {
  Block& b = block();
  const int me = b.current;
  Thread& mine = b.threads[static_cast<size_t>(me)];
  mine.stack = b.current_stack;
  const bool may_start = b.started < b.count;
  const bool start = may_start && (!b.any_ready() || (b.shuffled && b.next_random() % 2));
  if (!start && !b.any_ready()) stop(cudaErrorLaunchTimeout, deadlock_text());
  if (start) {
    b.current_stack = b.stacks.take();
    maas_fiber_switch(&mine.sp, fresh(b.current_stack));
  } else {
    const int t = b.take_ready();
    if (t == me) return;
    b.current_stack = b.threads[static_cast<size_t>(t)].stack;
    become(t);
    maas_fiber_switch(&mine.sp, b.threads[static_cast<size_t>(t)].sp);
  }
  arrived();
}

void release_barrier() {
  Block& b = block();
  b.result = {b.votes, static_cast<int>(b.waiting.size())};
  b.votes = 0;
  b.ready.insert(b.ready.end(), b.waiting.begin(), b.waiting.end());
  b.waiting.clear();
}

// True if all lanes have come. The caller, if it is one of them, goes on; the others become ready.
bool try_complete(size_t warp, size_t at, int caller) {
  Block& b = block();
  const Rendezvous r = b.meetings[warp][at];
  const unsigned expected = r.mask & b.live_lanes[warp];
  if (r.arrived != expected) return false;
  b.meetings[warp].erase(b.meetings[warp].begin() + static_cast<std::ptrdiff_t>(at));
  if (r.complete) r.complete(r.records, r.arrived);
  for (unsigned l = 0; l < 32; ++l) {
    const int t = static_cast<int>(warp * 32 + l);
    if ((r.arrived >> l & 1u) && t != caller) b.ready.push_back(t);
  }
  return true;
}

void leave(int t) {
  Block& b = block();
  b.threads[static_cast<size_t>(t)].done = true;
  --b.live;
  const auto warp = static_cast<size_t>(t) / 32;
  b.live_lanes[warp] &= ~(1u << (t % 32));
  if (!b.waiting.empty() && static_cast<int>(b.waiting.size()) == b.live) release_barrier();
  for (size_t i = 0; i < b.meetings[warp].size();)
    if (b.meetings[warp][i].arrived == 0 || !try_complete(warp, i, -1)) ++i;
}

void fiber_main() {
  arrived();
  Block& b = block();
  for (;;) {
    const bool may_start = b.started < b.count;
    if (may_start && (!b.any_ready() || (b.shuffled && b.next_random() % 2))) {
      const int t = b.order[static_cast<size_t>(b.started++)];
      become(t);
      (*b.body)();
      leave(b.current);
      continue;
    }
    if (b.any_ready()) {
      b.spare = b.current_stack;
      const int t = b.take_ready();
      b.current_stack = b.threads[static_cast<size_t>(t)].stack;
      become(t);
      void* unused;
      maas_fiber_switch(&unused, b.threads[static_cast<size_t>(t)].sp);
    }
    if (b.live > 0) stop(cudaErrorLaunchTimeout, deadlock_text());
    to_main();
  }
}

void start_block(size_t shared_bytes) {
  Block& b = block();
  b.live = b.count;
  b.started = 0;
  b.waiting.clear();
  b.ready.clear();
  b.ready_from = 0;
  b.votes = 0;
  b.spins = 0;
  for (int& arrived : b.named) arrived = 0;
  const size_t warps = static_cast<size_t>(b.count + 31) / 32;
  b.meetings.resize(warps);
  for (auto& list : b.meetings) list.clear();
  b.live_lanes.assign(warps, ~0u);
  if (b.count % 32) b.live_lanes.back() = (1u << (b.count % 32)) - 1;
  for (int t = 0; t < b.count; ++t) {
    Thread& thread = b.threads[static_cast<size_t>(t)];
    thread.done = false;
    if (!thread.copies.empty()) thread.copies.clear();
    if (!thread.ends.empty()) thread.ends.clear();
  }
  if (b.shuffled)
    for (size_t i = b.order.size(); i > 1; --i) std::swap(b.order[i - 1], b.order[b.next_random() % i]);
  if (shared_bytes) memset(dynamic_shared(), kPoison, shared_bytes);
}

void run_block() {
  Block& b = block();
  b.current_stack = b.stacks.take();
  maas_fiber_switch(&b.main_sp, fresh(b.current_stack));
  b.spare = nullptr;
  b.stacks.take_back_all();  // after a fault, threads are left as they were: they hold nothing to be destroyed
}

}  // namespace

void* dynamic_shared() {
  auto p = reinterpret_cast<uintptr_t>(block().shared.data());
  return reinterpret_cast<void*>((p + 127) & ~static_cast<uintptr_t>(127));
}

void fault(cudaError_t error, const char* what) {
  Block& b = block();
  if (!b.running) fail(ErrorKind::runtime, "emulator: ", what, " outside of a kernel");
  stop(error, text(what, ", thread (", threadIdx.x, ", ", threadIdx.y, ", ", threadIdx.z, ")"));
}

BarrierResult barrier(int vote) {
  Block& b = block();
  if (!b.running) fail(ErrorKind::runtime, "emulator: a barrier outside of a kernel");
  b.votes += vote;
  b.waiting.push_back(b.current);
  if (static_cast<int>(b.waiting.size()) == b.live) {
    b.waiting.pop_back();
    const int me = b.current;
    b.result = {b.votes, b.live};
    const BarrierResult result = b.result;
    release_barrier();
    b.result = result;
    if (b.shuffled) {
      b.ready.push_back(me);
      wait();
    }
    return result;
  }
  wait();
  return b.result;
}

void meet(unsigned mask, Meeting kind, void* record, Complete complete) {
  Block& b = block();
  if (!b.running) fail(ErrorKind::runtime, "emulator: a collective outside of a kernel");
  const auto warp = static_cast<size_t>(b.current) / 32;
  const unsigned me = static_cast<unsigned>(b.current) % 32;
  if (!(mask >> me & 1u)) fault(cudaErrorLaunchFailure, "a lane waits in a collective whose mask does not name it");
  auto& list = b.meetings[warp];
  size_t at = 0;
  while (at < list.size() && list[at].mask != mask) ++at;
  if (at == list.size()) list.push_back({mask, 0, kind, {}, complete});
  Rendezvous& r = list[at];
  if (r.kind != kind || r.complete != complete)
    fault(cudaErrorLaunchFailure, "lanes of a warp meet in different collectives");
  r.arrived |= 1u << me;
  r.records[me] = record;
  if (!try_complete(warp, at, b.current)) {
    wait();
  } else if (b.shuffled) {
    b.ready.push_back(b.current);
    wait();
  }
}

void yield() {
  Block& b = block();
  if (++b.spins > int64_t{b.count} * 4096)
    fault(cudaErrorLaunchTimeout, "deadlock: threads wait for a barrier in shared memory");
  b.ready.push_back(b.current);
  wait();
}
void progress() { block().spins = 0; }

void named_arrive(int number, int threads) {
  Block& b = block();
  if (number < 0 || number > 15 || threads % 32) fault(cudaErrorLaunchFailure, "a barrier's number or count is wrong");
  progress();
  if (++b.named[number] < threads) return;
  b.named[number] = 0;
  ++b.named_turns[number];
}
uint64_t named_turn(int number) { return block().named_turns[number]; }

void copy_start(void* to, const void* from, int bytes, bool read) {
  if (reinterpret_cast<uintptr_t>(to) % static_cast<size_t>(bytes) ||
      (read && reinterpret_cast<uintptr_t>(from) % static_cast<size_t>(bytes)))
    fault(cudaErrorMisalignedAddress, "cp.async: an address is not aligned to the copy's size");
  Block& b = block();
  b.threads[static_cast<size_t>(b.current)].copies.push_back({to, from, bytes, read});
}

void copy_commit() {
  Block& b = block();
  Thread& t = b.threads[static_cast<size_t>(b.current)];
  t.ends.push_back(t.copies.size());
}

void copy_wait(int pending) {
  Block& b = block();
  Thread& t = b.threads[static_cast<size_t>(b.current)];
  const auto keep = static_cast<size_t>(pending);
  if (t.ends.size() <= keep) return;
  const size_t end = t.ends[t.ends.size() - keep - 1];
  for (size_t i = 0; i < end; ++i) {
    const Copy& c = t.copies[i];
    if (c.read)
      memcpy(c.to, c.from, static_cast<size_t>(c.bytes));
    else
      memset(c.to, 0, static_cast<size_t>(c.bytes));
  }
  t.copies.erase(t.copies.begin(), t.copies.begin() + static_cast<std::ptrdiff_t>(end));
  t.ends.erase(t.ends.begin(), t.ends.end() - static_cast<std::ptrdiff_t>(keep));
  for (size_t& e : t.ends) e -= end;
}

// Threads of the CPU may count denormals as zero (core/float_mode.h); the GPU does not.
struct KeepDenormals {
  unsigned before = _mm_getcsr();
  KeepDenormals() { _mm_setcsr(before & ~0x8040u); }
  ~KeepDenormals() { _mm_setcsr(before); }
};

KernelResult run_grid(const KernelLaunch& launch) {
  const KeepDenormals keep;
  Block& b = block();
  const char* const seed = std::getenv("MAAS_EMULATOR_SHUFFLE");
  b.shuffled = seed && *seed && *seed != '0';
  if (b.shuffled) b.random = 0x9E3779B97F4A7C15ull * (std::strtoull(seed, nullptr, 10) + 1);
  b.body = &launch.thread;
  b.count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  if (b.threads.size() < static_cast<size_t>(b.count)) b.threads.resize(static_cast<size_t>(b.count));
  b.order.resize(static_cast<size_t>(b.count));
  for (int t = 0; t < b.count; ++t) b.order[static_cast<size_t>(t)] = t;
  b.failure = {};
  blockDim = launch.block;
  gridDim = launch.grid;
  b.running = true;
  bool learned = false;
  for (unsigned z = 0; z < launch.grid.z; ++z)
    for (unsigned y = 0; y < launch.grid.y; ++y)
      for (unsigned x = 0; x < launch.grid.x; ++x) {
        blockIdx = {x, y, z};
        poison_static_shared(launch.kernel);
        start_block(launch.shared);
        run_block();
        if (b.failure.error != cudaSuccess) {
          poison_static_shared(launch.kernel);
          b.running = false;
          b.failure.what += text(", block (", x, ", ", y, ", ", z, ")");
          return b.failure;
        }
        if (!learned) learn_static_shared(launch.kernel);
        learned = true;
      }
  poison_static_shared(launch.kernel);  // nothing of it is left to confuse learn_static_shared() of the next kernel
  b.running = false;
  return {};
}

}  // namespace maas::cuda::emulator
