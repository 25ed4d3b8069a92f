#include "graph/node.h"

#include <atomic>
#include <unordered_set>

#include "core/error.h"
#include "graph/op.h"

namespace maas {
namespace {
std::atomic<int64_t> g_next_id{0};
}

NodeData::NodeData() : id(g_next_id++) {}

NodeData::~NodeData() {
  // Inputs whose last user we are go to a list that the outermost destructor empties.
  thread_local std::vector<Nodes>* pending = nullptr;
  if (inputs.empty()) return;
  if (pending) {
    pending->push_back(std::move(inputs));
    return;
  }
  std::vector<Nodes> list;
  pending = &list;
  list.push_back(std::move(inputs));
  while (!list.empty()) {
    Nodes nodes = std::move(list.back());
    list.pop_back();
    nodes.clear();
  }
  pending = nullptr;
}

const Node& Node::input(int i) const { return data_->inputs[static_cast<size_t>(i)]; }
const Spec& Node::spec() const { return data_->outputs[static_cast<size_t>(output_)]; }

Node input_node(Spec spec, std::string name) {
  auto data = std::make_shared<NodeData>();
  data->leaf = Leaf::input;
  data->outputs = {std::move(spec)};
  data->name = std::move(name);
  return Node(std::move(data), 0);
}

Node constant_node(Array value) {
  auto data = std::make_shared<NodeData>();
  data->leaf = Leaf::constant;
  Spec spec{value.dtype, to_shape(value.shape), {}};
  if (is_integer(value.dtype) && value.size() <= 64 && value.shape.size() <= 1) {
    spec.value.emplace();
    for (int64_t i = 0; i < value.size(); ++i) spec.value->push_back(static_cast<int64_t>(read_element(value, i)));
  }
  data->outputs = {std::move(spec)};
  data->constant = std::move(value);
  return Node(std::move(data), 0);
}

Node scalar_node(DType dtype, double value) { return constant_node(make_scalar(dtype, value)); }

Node state_node(VariablePtr variable) {
  auto data = std::make_shared<NodeData>();
  data->leaf = Leaf::state;
  data->outputs = {Spec{variable->dtype(), to_shape(variable->shape()), {}}};
  data->name = variable->name;
  data->variable = std::move(variable);
  return Node(std::move(data), 0);
}

Node apply(OpPtr op, Nodes inputs) {
  Specs specs;
  specs.reserve(inputs.size());
  for (const Node& n : inputs) specs.push_back(n.spec());
  auto data = std::make_shared<NodeData>();
  GuardScope scope(data->guards);
  data->outputs = op->infer(specs);
  data->op = std::move(op);
  data->inputs = std::move(inputs);
  return Node(std::move(data), 0);
}

int64_t next_node_id() { return g_next_id; }

std::vector<std::shared_ptr<const NodeData>> topological_order(const Nodes& outputs) {
  std::vector<std::shared_ptr<const NodeData>> order;
  std::unordered_set<const NodeData*> seen;
  struct Frame {
    std::shared_ptr<const NodeData> node;
    size_t next;
  };
  std::vector<Frame> stack;
  for (const Node& out : outputs) {
    if (!out || !seen.insert(out.data()).second) continue;
    stack.push_back({out.pointer(), 0});
    while (!stack.empty()) {
      Frame& f = stack.back();
      if (f.next == f.node->inputs.size()) {
        order.push_back(f.node);
        stack.pop_back();
        continue;
      }
      const Node& in = f.node->inputs[f.next++];
      if (seen.insert(in.data()).second) stack.push_back({in.pointer(), 0});
    }
  }
  return order;
}

}  // namespace maas
