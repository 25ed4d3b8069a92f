#include "runtime/plan.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "graph/in_place.h"
#include "graph/passes/passes.h"
#include "graph/passes/rows.h"
#include "graph/primitives.h"
#include "runtime/plan_parts.h"
#include "runtime/segments.h"

namespace maas {
namespace {

std::atomic<int64_t> g_built{0};

// Turns an optimized graph into a Plan, one concern a method.
class Builder {
 public:
  // `body`: a sub-Graph, run many times by the plan around it; it has no list of prepared steps.
  Builder(const Graph& graph, const std::string& name, bool body = false) : graph_(graph), body_(body) {
    plan_->name = name;
    plan_->device = target();
    plan_->isa = active_isa();
  }

  std::shared_ptr<Plan> build() {
    separate_outputs();
    order_ = order_nodes(graph_, body_);
    count_reads();
    for (const Node& in : graph_.inputs) add_input(in);
    for (const auto& node : order_.nodes)
      if (!order_.post.count(node.get())) emit(node);
    plan_->commit = plan_->steps.size();
    for (const auto& node : order_.nodes)
      if (order_.post.count(node.get())) emit(node);
    finish_outputs();
    finish_updates();
    complete(*plan_);
    return plan_;
  }

 private:
  // ---- graph outputs own their memory: a leaf, a repeated value or a view is copied; so are such updates
  void separate_outputs() {
    std::unordered_set<const NodeData*> taken;
    for (Node& out : graph_.outputs) {
      const bool own = out->op && !out->op->is_view() && out.index() == 0 && taken.insert(out.data()).second;
      bool updated =
          std::any_of(graph_.updates.begin(), graph_.updates.end(), [&](const Update& u) { return u.value == out; });
      if (!own || updated) out = copy_chain(out);
      taken.insert(out.data());
    }
    for (Update& u : graph_.updates)
      if (!u.value->op || u.value->op->is_view()) u.value = copy_chain(u.value);
  }
  static Node copy_chain(const Node& x) { return passes::fuse(Graph{{}, {copy(x)}, {}}).outputs[0]; }

  void count_reads() {
    for (const auto& node : order_.nodes)
      for (const Node& in : node->inputs) ++reads_[key(in)];
    for (const Node& r : graph_.roots()) ++reads_[key(r)];
    for (size_t i = 0; i < graph_.outputs.size(); ++i) output_slot_.emplace(key(graph_.outputs[i]), i);
    for (const Update& u : graph_.updates) updates_[key(u.value)].push_back(&u);
  }

  // ---- values
  using Key = std::pair<const NodeData*, int>;
  struct KeyHash {
    size_t operator()(const Key& k) const {
      return std::hash<const void*>()(k.first) * 31 + static_cast<size_t>(k.second);
    }
  };
  static Key key(const Node& n) { return {n.data(), n.index()}; }

  int new_value(const Spec& spec, Place place) {
    PlanValue v;
    v.spec = spec;
    v.layout = row_major(spec.shape);
    v.place = place;
    v.root = static_cast<int>(plan_->values.size());
    v.bytes = floordiv(product(spec.shape) * Dim(bit_size(spec.dtype)) + Dim(7), Dim(8));
    if (bit_size(spec.dtype) % 8 == 0) v.bytes = product(spec.shape) * Dim(bit_size(spec.dtype) / 8);
    plan_->values.push_back(std::move(v));
    return static_cast<int>(plan_->values.size()) - 1;
  }

  void add_input(const Node& in) {
    const int v = new_value(in.spec(), Place::input);
    plan_->values.back().slot = static_cast<int>(plan_->inputs.size());
    plan_->inputs.push_back(v);
    plan_->input_names.push_back(in->name);
    name(in, v);
  }

  void add_state(const VariablePtr& variable) {
    auto& reads = plan_->reads;
    if (std::find(reads.begin(), reads.end(), variable) == reads.end()) reads.push_back(variable);
  }

  int value_of(const Node& n) {
    auto it = value_.find(key(n));
    if (it == value_.end())
      fail(ErrorKind::runtime, "a value is read before it is made: ", n->op ? n->op->str() : n->name);
    return it->second;
  }

  // From here on `node` is value v, and its readers read v's buffer.
  void name(const Node& node, int v) {
    value_[key(node)] = v;
    pending_.resize(plan_->values.size());
    const auto it = reads_.find(key(node));
    if (it != reads_.end()) pending_[static_cast<size_t>(plan_->values[static_cast<size_t>(v)].root)] += it->second;
  }
  int root_of(const Node& node) { return plan_->values[static_cast<size_t>(value_of(node))].root; }

  PlanValue& owner(int v) { return plan_->values[static_cast<size_t>(plan_->values[static_cast<size_t>(v)].root)]; }

  // ---- steps
  void emit(const std::shared_ptr<const NodeData>& node) {
    if (node->leaf == Leaf::input) {
      if (!value_.count({node.get(), 0}))
        fail(ErrorKind::value, "the graph reads an input that is not among its inputs, received '", node->name, "'");
      return;
    }
    if (node->leaf == Leaf::constant || node->leaf == Leaf::state) {
      const int v = new_value(node->outputs[0], node->leaf == Leaf::state ? Place::state : Place::constant);
      plan_->values.back().variable = node->variable;
      plan_->values.back().constant = node->constant.to(plan_->device);
      if (node->variable) add_state(node->variable);
      name(Node(node, 0), v);
      return;
    }
    emit_op(node);
    for (const Node& in : node->inputs) --pending_[static_cast<size_t>(root_of(in))];
  }

  void emit_op(const std::shared_ptr<const NodeData>& node) {
    const Node result(node, 0);
    const bool prepared = order_.fixed.count(node.get()) > 0;
    auto& list = prepared ? plan_->prepare : plan_->steps;
    if (node->op->is_view()) {
      if (emit_view(result, value_of(node->inputs[0]))) return;
      // Strides cannot say it as the input lies; of a dense copy they can.
      if (emit_view(result, conform(value_of(node->inputs[0]), InputLayout::dense, list, prepared))) return;
    }
    PlanStep step;
    step.op = node->op;
    if (plan_->device.is_cpu())
      step.control = node->op->control();
    else if (!device_row(*node))
      run_on_host(*plan_, *node, are_read(*node), step);
    for (size_t i = 0; i < node->inputs.size(); ++i)
      step.in.push_back(conform(value_of(node->inputs[i]),
                                step.host ? InputLayout::dense : node->op->input_layout(static_cast<int>(i)), list,
                                prepared));
    for (size_t k = 0; k < node->outputs.size(); ++k) {
      const Node out(node, static_cast<int>(k));
      if (k >= static_cast<size_t>(node->op->visible_outputs()) && !reads_.count(key(out))) {
        step.out.push_back(-1);
        continue;
      }
      step.out.push_back(place_output(out, step, prepared));
      name(out, step.out.back());
    }
    if (step.control) {
      for (const Body& body : step.control->bodies)
        step.bodies.push_back(Plan::build_body(*body.graph, plan_->name + "/" + node->op->name()));
      step.control->bodies.clear();
    } else if (!step.host) {
      choose_kernel(*plan_, step);
    } else {
      log_step(*plan_, step);
    }
    list.push_back(std::move(step));
  }

  // By output, whether anybody reads it.
  std::vector<bool> are_read(const NodeData& node) const {
    std::vector<bool> read;
    for (size_t k = 0; k < node.outputs.size(); ++k)
      read.push_back(k < static_cast<size_t>(node.op->visible_outputs()) || reads_.count({&node, static_cast<int>(k)}));
    return read;
  }

  bool emit_view(const Node& node, int base) {
    const PlanValue from = plan_->values[static_cast<size_t>(base)];
    Specs in;
    for (const Node& n : node->inputs) in.push_back(n.spec());
    Layout layout;
    if (!node->op->view(in, node.spec(), from.layout, layout)) return false;
    const int v = new_value(node.spec(), from.place);
    PlanValue& value = plan_->values.back();
    value.layout = std::move(layout);
    value.root = from.root;
    value.slot = from.slot;
    value.variable = from.variable;
    value.constant = from.constant;
    views_.insert(v);
    name(node, v);
    return true;
  }

  // A copy where a kernel cannot read the value as it lies.
  int conform(int v, InputLayout wanted, std::vector<PlanStep>& list, bool prepared) {
    const PlanValue value = plan_->values[static_cast<size_t>(v)];
    const Shape& shape = value.spec.shape;
    if (wanted == InputLayout::strided || wanted == InputLayout::unused) return v;
    if (is_row_major(value.layout, shape)) return v;
    if (wanted == InputLayout::rows && value.layout.offset.is_constant() &&
        (shape.empty() || shape.back().is(1) || value.layout.strides.back().is(1)))
      return v;
    // The prepare list runs first and in memory of its own: its copy serves all, one made by a run serves runs only.
    for (bool of_prepare : {true, false})
      if (auto it = dense_.find({v, of_prepare}); it != dense_.end() && (of_prepare || !prepared)) return it->second;
    const Node copied = copy_chain(input_node(value.spec, ""));
    PlanStep step;
    step.op = copied->op;
    step.in = {v};
    const int out = new_value(value.spec, prepared ? Place::prepared : Place::arena);
    if (prepared) plan_->values.back().slot = prepared_slots_++;
    taken_.insert(out);  // later readers may share it, so nobody takes it over
    step.out = {out};
    choose_kernel(*plan_, step);
    list.push_back(std::move(step));
    return dense_[{v, prepared}] = out;
  }

  int place_output(const Node& out, const PlanStep& step, bool prepared) {
    if (prepared) {
      const int v = new_value(out.spec(), Place::prepared);
      plan_->values.back().slot = prepared_slots_++;
      return v;
    }
    if (auto it = output_slot_.find(key(out)); it != output_slot_.end()) {
      const int v = new_value(out.spec(), Place::output);
      plan_->values.back().slot = static_cast<int>(it->second);
      return v;
    }
    if (auto it = updates_.find(key(out));
        it != updates_.end() && order_.post.count(out.data()) && it->second.size() == 1) {
      const Update& u = *it->second[0];
      if (can_write_in_place(u, step)) {
        const int v = new_value(out.spec(), Place::state);
        plan_->values.back().variable = u.variable;
        in_place_.insert(u.variable.get());
        return v;
      }
    }
    const int v = new_value(out.spec(), Place::arena);
    take_over(v, out, step);
    return v;
  }

  // The step writes the variable itself: nobody may read the old value later.
  bool can_write_in_place(const Update& u, const PlanStep& step) {
    if (in_place_.count(u.variable.get())) return false;
    const auto last = order_.last_post_read.find(u.variable.get());
    if (last != order_.last_post_read.end() && last->second > order_.position[u.value.data()]) return false;
    // A read of the variable by the step itself must be element by element: through the input it may take over.
    for (size_t i = 0; i < step.in.size(); ++i) {
      const PlanValue& v = plan_->values[static_cast<size_t>(step.in[i])];
      if (v.place != Place::state || v.variable != u.variable) continue;
      if (!(v.spec.shape == u.value.shape()) || !is_row_major(v.layout, v.spec.shape) ||
          !reads_same_element(step, static_cast<int>(i), u.value.index()))
        return false;
    }
    return true;
  }
  static bool reads_same_element(const PlanStep& step, int input, int output) {
    const int own = in_place_input(*step.op, output);
    return own == input || own == Op::any_input;
  }

  // The output may use the memory of an input that dies here, which may itself have taken it over: a chain of such
  // steps works in one buffer.
  void take_over(int v, const Node& out, const PlanStep& step) {
    const int allowed = in_place_input(*step.op, out.index());
    if (allowed < 0) return;
    for (size_t i = 0; i < step.in.size(); ++i) {
      if (allowed != Op::any_input && allowed != static_cast<int>(i)) continue;
      const int candidate = step.in[i];
      const PlanValue& in = plan_->values[static_cast<size_t>(candidate)];
      const PlanValue& root = owner(candidate);
      if (root.place != Place::arena || views_.count(candidate) || !(in.spec.shape == out.shape()) ||
          in.spec.dtype != out.dtype() || taken_.count(candidate) || others_read(in.root, out.data()))
        continue;
      // Another operand that sees the same buffer otherwise (a transpose of it) would read what was overwritten.
      if (std::any_of(step.in.begin(), step.in.end(), [&](int other) {
            return other != candidate && plan_->values[static_cast<size_t>(other)].root == in.root;
          }))
        continue;
      taken_.insert(candidate);
      plan_->values[static_cast<size_t>(v)].root = in.root;
      return;
    }
  }
  // True if anything but `reader` still reads this buffer, as itself or through a view.
  bool others_read(int root, const NodeData* reader) {
    const auto own = std::count_if(reader->inputs.begin(), reader->inputs.end(),
                                   [&](const Node& in) { return root_of(in) == root; });
    return pending_[static_cast<size_t>(root)] != own;
  }

  // ---- ends
  void finish_outputs() {
    for (const Node& out : graph_.outputs) plan_->outputs.push_back(value_of(out));
  }

  void finish_updates() {
    for (const Update& u : graph_.updates) {
      plan_->writes.push_back(u.variable);
      add_state(u.variable);
      const int v = value_of(u.value);
      const PlanValue& value = plan_->values[static_cast<size_t>(v)];
      if (value.place == Place::state && value.variable == u.variable && value.root == v &&
          in_place_.count(u.variable.get()))
        continue;
      plan_->copies.push_back({v, u.variable});
    }
  }

  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  Graph graph_;
  bool body_;
  NodeOrder order_;
  std::unordered_map<Key, int, KeyHash> reads_, value_;
  std::unordered_map<Key, size_t, KeyHash> output_slot_;
  std::unordered_map<Key, std::vector<const Update*>, KeyHash> updates_;
  std::vector<int> pending_;  // by owner: reads of its buffer still to come
  std::unordered_set<const Variable*> in_place_;
  std::unordered_set<int> taken_, views_;
  std::map<std::pair<int, bool>, int> dense_;  // by value and whether the copy is prepared
  int prepared_slots_ = 0;
};

}  // namespace

std::shared_ptr<const Plan> Plan::build(const Graph& graph, const std::string& name) {
  const Graph best = passes::optimize(graph);
  auto plan = Builder(best, name).build();
  plan->guards = graph.guards();
  plan->row_symbol = passes::row_symbol(best, plan->guards);
  ++g_built;
  return plan;
}

int64_t Plan::built() { return g_built; }

std::shared_ptr<const Plan> Plan::build_body(const Graph& graph, const std::string& name) {
  for (const auto& node : topological_order(graph.roots()))
    if (ends_segment(*node))
      fail(ErrorKind::not_implemented, name,
           ": a shape that depends on values (nonzero, unique, a boolean mask) is possible outside branches and loops "
           "only, received one of size ",
           node->outputs[0].shape[0]);
  return Builder(passes::fuse(graph), name, true).build();
}

}  // namespace maas
