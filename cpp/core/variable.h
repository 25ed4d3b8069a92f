#pragma once
#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "core/array.h"

namespace maas {

class StateLock;

// A piece of state: a handle to storage. Its address never changes, so Plans keep it; every write raises the version,
// which is what prepared weights are checked against.
class Variable {
 public:
  struct Take {};
  Variable(Array value, std::string name, bool trainable);  // copies `value`
  // Takes over the memory of `value`, which must be ours (Storage::allocate), if nobody else holds it and it lies where
  // new Variables do; else copies it.
  Variable(Take, Array value, std::string name, bool trainable);
  const std::string name;
  const bool initial_trainable;
  DType dtype() const { return value_.dtype; }
  const std::vector<int64_t>& shape() const { return value_.shape; }
  int64_t version() const { return version_.load(std::memory_order_acquire); }

  Array read() const;              // a copy in memory of the host, taken under the lock
  Array read_here() const;         // the same, in memory of its own device
  void write(const Array& value);  // same dtype and shape; ValueError otherwise
  Device device() const { return value_.device(); }
  // Programs that use it notice, and move with it. Waits for runs that hold it.
  void move_to(Device device);
  static int64_t moves();                      // counts moves of any Variable
  const Array& raw() const { return value_; }  // for Plans, which hold the lock
  void touch();                                // a Plan wrote through raw()

  // Raised by every write to any Variable: lets a Plan skip looking at its own when nothing changed.
  static int64_t epoch();
  // One lock for all of them from here on; returns it. `merges()` counts changes of any Variable's lock.
  static std::shared_ptr<StateLock> share_lock(const std::vector<std::shared_ptr<Variable>>& variables);
  static int64_t merges();

 private:
  std::shared_ptr<StateLock> lock() const;
  Array value_;
  std::atomic<int64_t> version_{0};
  mutable std::shared_ptr<StateLock> lock_;
};
using VariablePtr = std::shared_ptr<Variable>;

}  // namespace maas
