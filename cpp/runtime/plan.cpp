#include "runtime/plan.h"

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <set>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "graph/passes/passes.h"
#include "graph/primitives.h"
#include "runtime/host_step.h"
#include "runtime/segments.h"

namespace maas {
namespace {

std::atomic<int64_t> g_built{0};

bool log_kernels() {
  static const bool on = [] {
    const char* v = std::getenv("MAAS_LOG");
    return v && std::strstr(v, "kernels");
  }();
  return on;
}

// A step of the host in the midst of a GPU's costs two waits, so nobody should have one without knowing: a line for
// each op and process.
void tell_host_step(const std::string& op) {
  static std::mutex mutex;
  static std::set<std::string> told;
  std::lock_guard guard(mutex);
  if (told.insert(op).second)
    std::fprintf(stderr, "maas: '%s' has no GPU kernel for these operands and runs on the host\n", op.c_str());
}

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
    order_ = topological_order(graph_.roots());
    count_reads();
    find_prepared();
    find_post();
    for (const Node& in : graph_.inputs) add_input(in);
    for (const auto& node : order_)
      if (!post_.count(node.get())) emit(node);
    plan_->commit = plan_->steps.size();
    for (const auto& node : order_)
      if (post_.count(node.get())) emit(node);
    finish_outputs();
    finish_updates();
    lifetimes();
    collect_symbols();
    number_sizes();
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
    for (size_t i = 0; i < order_.size(); ++i) {
      position_[order_[i].get()] = i;
      for (const Node& in : order_[i]->inputs) ++reads_[key(in)];
    }
    for (const Node& r : graph_.roots()) ++reads_[key(r)];
    for (size_t i = 0; i < graph_.outputs.size(); ++i) output_slot_.emplace(key(graph_.outputs[i]), i);
    for (const Update& u : graph_.updates) updates_[key(u.value)].push_back(&u);
  }

  // ---- what depends on parameters alone
  void find_prepared() {
    if (body_) return;
    std::unordered_set<const Variable*> variables;
    for (const Update& u : graph_.updates) variables.insert(u.variable.get());
    // Results are made anew by every run, even if they depend on parameters alone.
    std::unordered_set<const NodeData*> roots;
    for (const Node& r : graph_.roots()) roots.insert(r.data());
    for (const auto& node : order_) {
      bool fixed = false;
      if (node->leaf == Leaf::constant) fixed = true;
      if (node->leaf == Leaf::state) fixed = !variables.count(node->variable.get());
      if (node->op) {
        fixed = std::all_of(node->inputs.begin(), node->inputs.end(),
                            [&](const Node& in) { return fixed_.count(in.data()) > 0; }) &&
                !node->inputs.empty() && !node->op->control();
        fixed = fixed && !roots.count(node.get());
        for (const Spec& s : node->outputs) fixed = fixed && is_constant(s.shape);
        // A result is written to the caller's memory by every run, even if it never changes.
        fixed = fixed && std::none_of(graph_.outputs.begin(), graph_.outputs.end(),
                                      [&](const Node& out) { return out.data() == node.get(); });
      }
      if (fixed) fixed_.insert(node.get());
    }
  }

  // ---- what may run after the commit point: cheap ops that cannot fail, feeding nothing but updates
  void find_post() {
    std::unordered_map<const NodeData*, std::vector<const NodeData*>> users;
    for (const auto& node : order_)
      for (const Node& in : node->inputs) users[in.data()].push_back(node.get());
    std::unordered_set<const NodeData*> outputs, updates;
    for (const Node& n : graph_.outputs) outputs.insert(n.data());
    for (const Update& u : graph_.updates) updates.insert(u.value.data());
    for (auto it = order_.rbegin(); it != order_.rend(); ++it) {
      const NodeData* node = it->get();
      if (!node->op || fixed_.count(node) || outputs.count(node) || node->op->in_place(0) < 0) continue;
      const auto& list = users[node];
      if (!updates.count(node) && list.empty()) continue;
      if (std::all_of(list.begin(), list.end(), [&](const NodeData* u) { return post_.count(u) > 0; }))
        post_.insert(node);
    }
    for (const auto& node : order_)
      if (post_.count(node.get()))
        for (const Node& in : node->inputs) {
          const NodeData* base = in.data();
          while (base->op && base->op->is_view()) base = base->inputs[0].data();
          if (base->leaf == Leaf::state) last_post_read_[base->variable.get()] = position_[node.get()];
        }
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
    const bool prepared = fixed_.count(node.get()) > 0;
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
    else
      choose_device_row(*node, step);
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
      choose(step);
    }
    if (step.host) log(step, "host", "no row of the GPU takes it");
    list.push_back(std::move(step));
  }

  // On a GPU: a row, or else a program of the host.
  void choose_device_row(const NodeData& node, PlanStep& step) {
    Specs in;
    for (const Node& n : node.inputs) in.push_back(n.spec());
    if (!node.op->control() && choose_row(*node.op, in, node.outputs).row) return;
    std::vector<bool> read;
    for (size_t k = 0; k < node.outputs.size(); ++k)
      read.push_back(k < static_cast<size_t>(node.op->visible_outputs()) || reads_.count({&node, static_cast<int>(k)}));
    step.host = std::make_shared<HostStep>(node.op, in, std::move(read), plan_->name);
    step.why = "no row of the GPU takes it";
    tell_host_step(node.op->name());
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
    choose(step);
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
    if (auto it = updates_.find(key(out)); it != updates_.end() && post_.count(out.data()) && it->second.size() == 1) {
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
    const auto last = last_post_read_.find(u.variable.get());
    if (last != last_post_read_.end() && last->second > position_[u.value.data()]) return false;
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
    return step.op->in_place(output) == input || step.op->in_place(output) == Op::any_input;
  }

  // The output may use the memory of an input that dies here, which may itself have taken it over: a chain of such
  // steps works in one buffer.
  void take_over(int v, const Node& out, const PlanStep& step) {
    const int allowed = step.op->in_place(out.index());
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

  void choose(PlanStep& step) {
    Specs in, out;
    for (int v : step.in) in.push_back(plan_->values[static_cast<size_t>(v)].spec);
    for (int v : step.out) out.push_back(v < 0 ? Spec{} : plan_->values[static_cast<size_t>(v)].spec);
    const Choice best = choose_row(*step.op, in, out);
    step.row = best.row;
    if (!step.row)
      fail(ErrorKind::not_implemented, step.op->name(), ": no kernel takes these inputs, received ", shapes(step));
    step.why = text("cost ", best.cost);
    step.workspace = step.op->workspaces(in, out);
    log(step, step.row->name, step.why);
  }

  std::string shapes(const PlanStep& step) const {
    std::string list;
    for (int v : step.in) {
      const Spec& s = plan_->values[static_cast<size_t>(v)].spec;
      list += text(list.empty() ? "" : ", ", s.dtype, to_string(s.shape));
    }
    return list;
  }
  void log(const PlanStep& step, const char* kernel, const std::string& why) const {
    if (log_kernels())
      std::fprintf(stderr, "maas: %s | %s | %s | %s | %s\n", plan_->name.c_str(), step.op->name().c_str(),
                   shapes(step).c_str(), kernel, why.c_str());
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

  void lifetimes() {
    auto use = [&](int v, int step) {
      if (v < 0) return;
      PlanValue& o = owner(v);
      if (o.first < 0) o.first = step;
      o.last = std::max(o.last, step);
    };
    for (size_t s = 0; s < plan_->steps.size(); ++s) {
      for (int v : plan_->steps[s].in) use(v, static_cast<int>(s));
      for (int v : plan_->steps[s].out) use(v, static_cast<int>(s));
    }
    for (const CommitCopy& c : plan_->copies) use(c.value, static_cast<int>(plan_->steps.size()));
    for (const PlanStep& step : plan_->prepare)
      for (int v : step.in) {
        const auto& variable = plan_->values[static_cast<size_t>(v)].variable;
        auto& from = plan_->prepared_from;
        if (variable && std::find(from.begin(), from.end(), variable) == from.end()) from.push_back(variable);
      }
  }

  void collect_symbols() {
    for (int v : plan_->inputs)
      for (const Dim& d : plan_->values[static_cast<size_t>(v)].spec.shape) d.collect_symbols(plan_->symbols);
  }

  void number_sizes() {
    std::map<std::string, int> known;
    auto number = [&](const Dim& d) {
      if (d.is_constant()) return -1;
      const auto [it, fresh] = known.try_emplace(d.str(), static_cast<int>(plan_->sizes.size()));
      if (fresh) plan_->sizes.push_back(d);
      return it->second;
    };
    for (PlanValue& v : plan_->values) {
      for (const Dim& d : v.spec.shape) v.size_ids.push_back(number(d));
      for (const Dim& d : v.layout.strides) v.size_ids.push_back(number(d));
      v.size_ids.push_back(number(v.layout.offset));
      v.size_ids.push_back(number(v.bytes));
    }
  }

  std::shared_ptr<Plan> plan_ = std::make_shared<Plan>();
  Graph graph_;
  bool body_;
  std::vector<std::shared_ptr<const NodeData>> order_;
  std::unordered_map<Key, int, KeyHash> reads_, value_;
  std::unordered_map<Key, size_t, KeyHash> output_slot_;
  std::unordered_map<Key, std::vector<const Update*>, KeyHash> updates_;
  std::unordered_map<const NodeData*, size_t> position_;        // in order_
  std::unordered_map<const Variable*, size_t> last_post_read_;  // position of the last step after the commit
  std::vector<int> pending_;                                    // by owner: reads of its buffer still to come
  std::unordered_set<const NodeData*> fixed_, post_;
  std::unordered_set<const Variable*> in_place_;
  std::unordered_set<int> taken_, views_;
  std::map<std::pair<int, bool>, int> dense_;  // by value and whether the copy is prepared
  int prepared_slots_ = 0;
};

}  // namespace

std::shared_ptr<const Plan> Plan::build(const Graph& graph, const std::string& name) {
  auto plan = Builder(passes::optimize(graph), name).build();
  plan->guards = graph.guards();
  ++g_built;
  return plan;
}

std::shared_ptr<const Plan> Plan::outline(const Graph& graph, const std::string& name,
                                          const std::vector<const Plan*>& parts) {
  auto plan = std::make_shared<Plan>();
  plan->name = name;
  plan->device = target();
  plan->isa = active_isa();
  auto add = [&](const Node& n, Place place, size_t slot) {
    PlanValue v;
    v.spec = n.spec();
    v.layout = row_major(v.spec.shape);
    v.place = place;
    v.root = static_cast<int>(plan->values.size());
    v.slot = static_cast<int>(slot);
    plan->values.push_back(std::move(v));
    return plan->values.back().root;
  };
  for (const Node& n : graph.inputs) {
    plan->inputs.push_back(add(n, Place::input, plan->inputs.size()));
    plan->input_names.push_back(n->name);
    for (const Dim& d : n.shape()) d.collect_symbols(plan->symbols);
  }
  for (const Node& n : graph.outputs) plan->outputs.push_back(add(n, Place::output, plan->outputs.size()));
  for (const Plan* part : parts) {
    for (const VariablePtr& v : part->reads)
      if (std::find(plan->reads.begin(), plan->reads.end(), v) == plan->reads.end()) plan->reads.push_back(v);
    plan->writes.insert(plan->writes.end(), part->writes.begin(), part->writes.end());
  }
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

std::string Plan::str() const {
  std::string s;
  auto describe = [&](const std::vector<PlanStep>& list, const char* kind) {
    for (size_t i = 0; i < list.size(); ++i) {
      const PlanStep& step = list[i];
      s += text(kind, " ", i, ": ", step.op->name(), " ", step.kernel_name(), " ->");
      for (int v : step.out)
        if (v >= 0)
          s += text(" ", values[static_cast<size_t>(v)].spec.dtype,
                    to_string(values[static_cast<size_t>(v)].spec.shape));
      s += "\n";
      for (const auto& body : step.bodies) s += "{\n" + body->str() + "}\n";
    }
  };
  describe(prepare, "prepare");
  describe(steps, "step");
  return s + text("commit before step ", commit, ", ", copies.size(), " copied updates\n");
}

}  // namespace maas
