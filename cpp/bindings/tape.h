#pragma once
#include <unordered_map>
#include <unordered_set>

#include "bindings/common.h"

namespace maas::bindings {

// Values of nodes that are known, and those of others computed from them op by op.
class Evaluator {
 public:
  void know(const Node& node, std::vector<Array> outputs) { known_[node.data()] = {node, std::move(outputs)}; }
  Array operator()(const Node& wanted);

 private:
  bool has(const Node& n) const;
  std::unordered_map<const NodeData*, std::pair<Node, std::vector<Array>>> known_;
};

// Eager ops as they ran, with their values: enough to build the graph of a gradient. Arrays are told apart by their
// memory, which the tape keeps alive.
class Tape {
 public:
  Tape(bool persistent, bool watch_variables) : persistent_(persistent), watch_variables_(watch_variables) {}
  void enter();
  void exit();
  void watch(const Array& array);
  void watch(const VariablePtr& variable) { watched_.insert(variable.get()); }
  void record(const OpPtr& op, const std::vector<Array>& in, const std::vector<Array>& out);
  void read(const VariablePtr& variable, const Array& value);
  void reset();
  bool used() const { return used_; }

  struct Source {
    Array array;
    VariablePtr variable;
  };
  // Gradients of the sum of targets; `dys` has an empty Array for ones.
  std::vector<Array> gradient(const std::vector<Array>& targets, const std::vector<Array>& dys,
                              const std::vector<Source>& sources);
  std::vector<VariablePtr> variables() const;
  bool paused = false;

 private:
  struct Record {
    OpPtr op;
    std::vector<Array> in, out;
  };
  bool persistent_, watch_variables_, used_ = false;
  std::vector<Record> records_;
  std::vector<Array> kept_;
  std::unordered_set<const Storage*> active_;
  std::unordered_set<const Variable*> watched_;
  std::vector<std::pair<VariablePtr, Array>> reads_;
};

}  // namespace maas::bindings
