#pragma once
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/array.h"
#include "graph/op.h"
#include "runtime/executor.h"

namespace maas {

class Program;

// A step of a plan for a GPU that no row of the GPU takes: its operands come to the host, where the op runs as a
// program of its own, and its results go back.
class HostStep {
 public:
  // `read`: by output, whether anybody wants it.
  HostStep(OpPtr op, Specs in, std::vector<bool> read, std::string plan);
  ~HostStep();
  // Waits for the GPU. Operands are dense at these addresses of the GPU, with these sizes; null results are not wanted.
  struct Value {
    std::byte* data;
    std::vector<int64_t> shape;
  };
  void run(Device device, const std::vector<Value>& in, const std::vector<Value>& out, const SymbolValues& sizes,
           const RunOptions& options);

 private:
  std::shared_ptr<Program> program_for(const std::vector<std::vector<int64_t>>& shapes, const SymbolValues& sizes);

  OpPtr op_;
  Specs in_;
  std::vector<bool> read_;
  std::string name_;
  std::mutex mutex_;
  std::map<std::vector<std::vector<int64_t>>, std::shared_ptr<Program>> programs_;  // by the operands' sizes
};

}  // namespace maas
