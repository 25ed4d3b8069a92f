#pragma once
#include <memory>
#include <string>
#include <vector>

#include "core/array.h"
#include "core/variable.h"
#include "graph/spec.h"

namespace maas {

class Op;
struct NodeData;
using OpPtr = std::shared_ptr<const Op>;

// One value: an output of an immutable node. Cheap to copy. Gradients and passes build new nodes, never change old
// ones.
class Node {
 public:
  Node() = default;
  Node(std::shared_ptr<const NodeData> data, int output) : data_(std::move(data)), output_(output) {}

  explicit operator bool() const { return data_ != nullptr; }
  const NodeData* data() const { return data_.get(); }
  const NodeData* operator->() const { return data_.get(); }
  const std::shared_ptr<const NodeData>& pointer() const { return data_; }
  int index() const { return output_; }
  Node output(int i) const { return Node(data_, i); }
  const Node& input(int i) const;
  const Spec& spec() const;
  const Shape& shape() const { return spec().shape; }
  DType dtype() const { return spec().dtype; }
  int64_t rank() const { return spec().rank(); }
  bool operator==(const Node&) const = default;

 private:
  std::shared_ptr<const NodeData> data_;
  int output_ = 0;
};
using Nodes = std::vector<Node>;

enum class Leaf : uint8_t { none, input, constant, state };

struct NodeData {
  OpPtr op;  // null for leaves
  Nodes inputs;
  Specs outputs;
  std::vector<Guard> guards;  // what must hold of sizes for this node to make sense
  int64_t id;                 // grows, so it orders nodes as they were made

  Leaf leaf = Leaf::none;
  std::string name;      // of an input
  Array constant;        // of a constant
  VariablePtr variable;  // of a state leaf

  NodeData();
  ~NodeData();  // iterative: long chains must not overflow the stack
};

Node input_node(Spec spec, std::string name);
Node constant_node(Array value);
Node scalar_node(DType dtype, double value);
// One leaf per call: use the same node for the same read. The trace keeps it.
Node state_node(VariablePtr variable);
// Infers shapes and makes the node; raises what the op's checks raise. The result is output 0.
Node apply(OpPtr op, Nodes inputs);

// The id that the next node will have: nodes with smaller ones were made before.
int64_t next_node_id();

// Every node the outputs need, inputs first. Iterative.
std::vector<std::shared_ptr<const NodeData>> topological_order(const Nodes& outputs);

}  // namespace maas
