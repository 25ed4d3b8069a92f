#pragma once
// What the files of Program share.
#include <mutex>

#include "core/state_lock.h"
#include "runtime/program.h"

namespace maas {

// All programs, so that a fork can hold their locks and a child can forget what other threads were doing.
struct LivePrograms {
  static LivePrograms& instance();
  void add(Program* p);
  void remove(Program* p);

 private:
  static void prepare();
  static void after(bool child);
  static void forget_others(Program& p);

  std::mutex mutex;
  Program* first = nullptr;
};

// Held till its end, alone or with others.
struct HeldState {
  StateLock& lock;
  bool alone;
  ~HeldState() { alone ? lock.unlock() : lock.unlock_shared(); }
};

constexpr size_t kClaimOutputs = size_t{64} << 20;  // smaller ones come from free lists that were used before

// Contexts are made for sizes rounded up to a power of two, so that few serve all batches.
SymbolValues round_up(const SymbolValues& symbols);

}  // namespace maas
