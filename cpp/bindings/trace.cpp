// Recording functions, their gradients and compiled programs; variables.
#include <algorithm>
#include <atomic>
#include <unordered_set>

#include "bindings/common.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "graph/passes/passes.h"
#include "ops/build.h"
#include "runtime/eager.h"

namespace maas::bindings {
namespace {

thread_local std::vector<Trace*> traces;
thread_local std::optional<DType> autocast;
// Variables that layers read as they are, whatever they compute in; guarded by the GIL.
std::unordered_set<const Variable*>& exact_variables() {
  static auto* set = new std::unordered_set<const Variable*>;
  return *set;
}
void forget(Variable* variable) {
  {
    py::gil_scoped_acquire gil;
    exact_variables().erase(variable);
  }
  delete variable;
}

// Releasing the GIL costs about as much as 1 us of work and lets other threads in; short programs keep it.
constexpr double kReleaseGil = 50e3;

std::atomic<unsigned long> main_thread{0};

// Runs on the caller's thread without the GIL: takes it, lets Python run its signal handlers, and says whether one
// raised.
bool poll_signals() {
  py::gil_scoped_acquire gil;
  return PyErr_CheckSignals() != 0;
}

}  // namespace

Node to_node(const py::handle& value) {
  if (py::isinstance<Tensor>(value)) {
    const Tensor& t = value.cast<const Tensor&>();
    return t.symbolic() ? t.node : constant_node(t.array.host());
  }
  if (py::isinstance<Variable>(value)) {
    Trace* trace = Trace::current();
    if (!trace) fail(ErrorKind::runtime, "a variable becomes a node only inside a trace");
    return trace->read(value.cast<VariablePtr>());
  }
  if (py::hasattr(value, "__maas_variable__")) return to_node(value.attr("__maas_variable__"));
  return constant_node(to_array(value).host());
}

Trace* Trace::current() { return traces.empty() ? nullptr : traces.back(); }
void Trace::enter() { traces.push_back(this); }
void Trace::exit() {
  if (traces.empty() || traces.back() != this) fail(ErrorKind::runtime, "traces must end in the order they began");
  traces.pop_back();
}

Tensor Trace::input(const py::object& shape, const std::string& dtype, const std::string& name) {
  Spec spec{parse_dtype(dtype), {}, {}};
  for (auto item : shape) {
    if (item.is_none()) {
      spec.shape.push_back(Dim::symbol(text(name, ".", spec.shape.size())));
    } else if (py::isinstance<py::str>(item)) {
      const auto symbol = item.cast<std::string>();
      auto it = std::find_if(symbols_.begin(), symbols_.end(), [&](const auto& s) { return s.first == symbol; });
      if (it == symbols_.end()) it = symbols_.insert(it, {symbol, Dim::symbol(symbol)});
      spec.shape.push_back(it->second);
    } else {
      spec.shape.push_back(to_dim(item));
    }
  }
  inputs.push_back(input_node(std::move(spec), name));
  return Tensor(inputs.back());
}

Node Trace::read(const VariablePtr& variable) {
  if (body_) {
    for (State& s : body_state_)
      if (s.variable == variable) return s.value;
    const Node in = input_node({variable->dtype(), to_shape(variable->shape()), {}}, variable->name);
    body_state_.push_back({variable, in, in});
    return in;
  }
  for (auto& [v, node] : state_)
    if (v == variable) return node;
  // An enclosing trace's reading is ours too: it is the same leaf.
  for (size_t i = traces.size(); i-- > 0 && traces[i];)
    if (traces[i]->body_)
      return traces[i]->read(variable);
    else if (traces[i] != this)
      for (auto& [v, node] : traces[i]->state_)
        if (v == variable) return node;
  state_.emplace_back(variable, state_node(variable));
  return state_.back().second;
}

Node Trace::fitting(const VariablePtr& variable, Node value) {
  const Shape shape = to_shape(variable->shape());
  check(value.shape() == shape, "variable '", variable->name, "' has shape ", to_string(shape),
        ", received a value of shape ", to_string(value.shape()));
  return value.dtype() == variable->dtype() ? value : op("cast", {value}, {{"dtype", variable->dtype()}});
}

void Trace::write(const VariablePtr& variable, Node value) {
  value = fitting(variable, std::move(value));
  // To assign is no step of a gradient, in a trace as outside.
  const Node before = read(variable);
  if (is_floating(value.dtype())) value = op("assigned", {value, before});
  first_.emplace(variable, before);
  put(variable, value);
}

void Trace::put(const VariablePtr& variable, const Node& value) {
  for (State& s : body_state_)
    if (s.variable == variable) s.value = value;
  if (body_) return;
  for (auto& [v, node] : state_)
    if (v == variable) node = value;
  for (auto& [v, node] : written_)
    if (v == variable) {
      node = value;
      return;
    }
  written_.emplace_back(variable, value);
}

Node Trace::source(const py::object& target) {
  if (current() && py::isinstance<Variable>(target)) {
    const auto& first = current()->first_;
    if (auto it = first.find(target.cast<VariablePtr>()); it != first.end()) return it->second;
  }
  return to_node(target);
}

Tensor Trace::input_value(Array value, const std::string& name) {
  inputs.push_back(input_node({value.dtype, to_shape(value.shape), {}}, name));
  values_[inputs.back().data()] = {inputs.back(), {value}};
  return Tensor(inputs.back(), std::move(value));
}

Tensor Trace::tensor(const Node& node) { return values_on_ ? Tensor(node, evaluate(node)) : Tensor(node); }

Array Trace::evaluate(const Node& wanted) {
  std::vector<std::shared_ptr<const NodeData>> stack{wanted.pointer()};
  while (!stack.empty()) {
    const auto node = stack.back();
    if (values_.count(node.get())) {
      stack.pop_back();
      continue;
    }
    const size_t depth = stack.size();
    for (const Node& in : node->inputs)
      if (!values_.count(in.data())) stack.push_back(in.pointer());
    if (stack.size() > depth) continue;
    stack.pop_back();
    std::vector<Array> results;
    switch (node->leaf) {
      case Leaf::constant:
        results = {node->constant};
        break;
      case Leaf::state:
        results = {read_variable(*node->variable)};
        break;
      case Leaf::input:
        fail(ErrorKind::type, "a symbolic tensor has no value while it is traced, received input '", node->name, "'");
      case Leaf::none: {
        std::vector<Array> arrays;
        for (const Node& in : node->inputs)
          arrays.push_back(values_.at(in.data()).second[static_cast<size_t>(in.index())]);
        results = run_program(*eager_program(node->op, arrays, true), arrays);
      }
    }
    values_[node.get()] = {Node(node, 0), std::move(results)};
  }
  return values_.at(wanted.data()).second[static_cast<size_t>(wanted.index())];
}

void Trace::commit() {
  for (const auto& [variable, node] : written_) write_variable(*variable, evaluate(node));
}

void Trace::overlay(const std::vector<VariablePtr>& variables, const Nodes& values) {
  for (const VariablePtr& v : variables) read(v);
  saved_.emplace_back(state_, written_);
  saved_first_.push_back(first_);
  // What is overlaid is no assignment: gradients of a stateless call go through it, and its own begin at it.
  for (size_t i = 0; i < variables.size(); ++i) {
    put(variables[i], fitting(variables[i], values[i]));
    first_.erase(variables[i]);
  }
}

Nodes Trace::end_overlay(const std::vector<VariablePtr>& variables) {
  Nodes last;
  for (const VariablePtr& v : variables) last.push_back(read(v));
  auto [state, written] = std::move(saved_.back());
  saved_.pop_back();
  first_ = std::move(saved_first_.back());
  saved_first_.pop_back();
  // State that was read for the first time: it stays one leaf.
  for (const auto& [v, node] : state_)
    if (node->leaf == Leaf::state &&
        std::none_of(state.begin(), state.end(), [&](const auto& s) { return s.first == node->variable; }))
      state.emplace_back(node->variable, node);
  state_ = std::move(state);
  written_ = std::move(written);
  return last;
}

void Trace::pause() { traces.push_back(nullptr); }
void Trace::resume() {
  if (traces.empty() || traces.back()) fail(ErrorKind::runtime, "a pause must end in the order it began");
  traces.pop_back();
}

Graph Trace::graph(const Nodes& outputs) const {
  Graph g{inputs, outputs, {}};
  for (const auto& [v, node] : written_) g.updates.push_back({v, node});
  return images_.apply(g);
}

void Trace::recognize(Nodes& values) {
  if (!current() || !passes::enabled()) return;
  for (const Trace* t : traces)
    if (!t || t->body_ || t->values_on_) return;
  values = current()->images_.recognize({{}, values, {}}).outputs;
}

Poll signal_poll() {
  // Signals reach Python on its main thread only.
  return PyThread_get_thread_ident() == main_thread.load() ? poll_signals : nullptr;
}

std::vector<Array> run_program(Program& program, const std::vector<Array>& inputs, uint64_t cut_seed) {
  RunOptions options;
  options.cut_seed = cut_seed;
  options.keep_on_device = true;
  // Whoever holds the state may need the GIL to look at signals, so nobody waits for state with the GIL held.
  if (program.work_ns() < kReleaseGil && program.work_ns() > 0) {
    std::vector<Array> outputs;
    if (program.try_run(inputs, options, outputs)) return outputs;
  }
  options.poll = signal_poll();
  py::gil_scoped_release release;
  return program.run(inputs, options);
}

DType autocast_dtype(const Variable& variable) {
  if (!autocast || !is_floating(variable.dtype()) || exact_variables().count(&variable)) return variable.dtype();
  return *autocast;
}

Array read_variable(const Variable& variable) {
  py::gil_scoped_release release;
  return variable.read_here();
}

void write_variable(Variable& variable, const Array& value) {
  py::gil_scoped_release release;
  variable.write(value);
}

void bind_trace(py::module_& m) {
  main_thread = PyThread_get_thread_ident();

  py::class_<Variable, VariablePtr>(m, "Variable", "State: a handle whose address never changes.")
      .def(py::init([](const py::object& value, const py::object& dtype, const std::string& name, bool trainable,
                       bool autocast) {
             Array a = to_array(value,
                                dtype.is_none() ? std::nullopt : std::optional(parse_dtype(dtype.cast<std::string>())));
             if (autocast) return std::make_shared<Variable>(std::move(a), name, trainable);
             VariablePtr exact(new Variable(std::move(a), name, trainable), forget);
             exact_variables().insert(exact.get());
             return exact;
           }),
           py::arg("value"), py::arg("dtype") = py::none(), py::arg("name") = "variable", py::arg("trainable") = true,
           py::arg("autocast") = true)
      .def_property_readonly("shape", [](const Variable& v) { return shape_to_python(to_shape(v.shape())); })
      .def_property_readonly("dtype", [](const Variable& v) { return std::string(to_string(autocast_dtype(v))); })
      .def_property_readonly("autocast", [](const Variable& v) { return exact_variables().count(&v) == 0; })
      .def_readonly("name", &Variable::name)
      .def_property_readonly("version", &Variable::version)
      .def_property_readonly("device", [](const Variable& v) { return to_string(v.device()); })
      .def(
          "move_to",
          [](Variable& v, const std::string& device) {
            const Device there = parse_device(device);
            py::gil_scoped_release release;
            v.move_to(there);
          },
          py::arg("device"), "Moves the value to 'cpu' or 'gpu:0'; what uses it notices.")
      .def("numpy", [](const Variable& v) { return share_numpy(read_variable(v)); })
      .def_property_readonly("value",
                             [](const VariablePtr& v) -> py::object {
                               const DType as = autocast_dtype(*v);
                               if (Trace* trace = Trace::current())
                                 return py::cast(trace->tensor(cast(trace->read(v), as)));
                               Tensor value(read_variable(*v));
                               record_read(v, value.array);
                               if (as == v->dtype()) return py::cast(std::move(value));
                               return call_op(*find_op("cast"), {py::cast(std::move(value))}, {{"dtype", as}});
                             })
      .def("assign", [](const VariablePtr& v, const py::object& value) {
        if (Trace* trace = Trace::current())
          trace->write(v, to_node(value));
        else
          write_variable(*v, to_array(value, v->dtype()));
      });

  py::class_<Program, std::shared_ptr<Program>>(m, "Program", "A compiled graph. Any number of threads may call it.")
      .def("__call__",
           [](Program& p, const py::args& args) {
             std::vector<Array> inputs;
             const Plan& plan = p.plan();
             check(args.size() == plan.inputs.size(), plan.name, ": ", plan.inputs.size(),
                   " inputs are needed, received ", args.size());
             for (size_t i = 0; i < args.size(); ++i)
               inputs.push_back(borrow(args[i], plan.values[static_cast<size_t>(plan.inputs[i])].spec.dtype,
                                       plan.input_names[i].c_str()));
             py::list out;
             for (Array& a : run_program(p, inputs)) out.append(Tensor(std::move(a)));
             return out;
           })
      .def(
          "numpy",
          [](Program& p, const py::args& args) {
            std::vector<Array> inputs;
            const Plan& plan = p.plan();
            check(args.size() == plan.inputs.size(), plan.name, ": ", plan.inputs.size(),
                  " inputs are needed, received ", args.size());
            for (size_t i = 0; i < args.size(); ++i)
              inputs.push_back(borrow(args[i], plan.values[static_cast<size_t>(plan.inputs[i])].spec.dtype,
                                      plan.input_names[i].c_str()));
            py::list out;
            for (Array& a : run_program(p, inputs)) out.append(share_numpy(std::move(a)));
            return out;
          },
          "Like a call, but gives NumPy arrays that own the results.")
      .def("run_cut",
           [](Program& p, const std::vector<py::object>& args, uint64_t seed) {
             std::vector<Array> inputs;
             for (size_t i = 0; i < args.size(); ++i) inputs.push_back(to_array(args[i]));
             py::list out;
             for (Array& a : run_program(p, inputs, seed)) out.append(share_numpy(std::move(a)));
             return out;
           })
      .def(
          "profile",
          [](Program& p, const std::vector<py::object>& args, int repeats) {
            std::vector<Array> inputs;
            for (const auto& a : args) inputs.push_back(to_array(a));
            const auto members = static_cast<size_t>(ThreadPool::instance().size());
            std::vector<double> ns(p.plan().steps.size()), worker_ns(ns.size() * members);
            RunOptions options;
            options.step_ns = &ns;
            options.worker_ns = &worker_ns;
            {
              py::gil_scoped_release release;
              p.run(inputs);
              for (int i = 0; i < repeats; ++i) p.run(inputs, options);
            }
            const std::vector<StepCost> costs = p.costs(inputs);
            py::list rows;
            for (size_t s = 0; s < ns.size(); ++s) {
              const PlanStep& step = p.plan().steps[s];
              py::dict row;
              row["op"] = step.op->name();
              row["kernel"] = step.kernel_name();
              row["why"] = step.why;
              row["shape"] = py::tuple(py::cast(costs[s].shape));
              row["us"] = ns[s] / repeats / 1e3;
              row["flops"] = costs[s].flops < 0 ? py::object(py::none()) : py::cast(costs[s].flops);
              row["bytes"] = costs[s].bytes;
              row["threads"] = std::min(costs[s].team, ThreadPool::instance().size());
              std::vector<double> workers(worker_ns.begin() + static_cast<std::ptrdiff_t>(s * members),
                                          worker_ns.begin() + static_cast<std::ptrdiff_t>((s + 1) * members));
              while (!workers.empty() && workers.back() == 0) workers.pop_back();
              for (double& w : workers) w /= repeats * 1e3;
              row["workers"] = workers;
              rows.append(std::move(row));
            }
            return rows;
          },
          py::arg("args"), py::arg("repeats") = 20,
          "A dict for every step of a run: op, kernel, why, shape, us, flops, bytes, threads, workers (microseconds "
          "that "
          "each thread of the team worked). State is updated as in a run.")
      .def(
          "memory",
          [](Program& p, const std::vector<py::object>& args) {
            std::vector<Array> inputs;
            for (const auto& a : args) inputs.push_back(to_array(a));
            const MemoryReport r = p.memory_report(inputs);
            py::dict d;
            d["arena"] = r.arena;
            d["peak"] = r.peak;
            d["peak_step"] = r.peak_step;
            d["peak_op"] = r.peak_op;
            d["without_reuse"] = r.without_reuse;
            d["text"] = r.str();
            return d;
          },
          py::arg("args"),
          "Bytes of the arena for these inputs, the most that is alive at one step, the sum without reuse.")
      .def(
          "rows_at_once",
          [](Program& p, const std::vector<py::object>& args) {
            std::vector<Array> inputs;
            for (const auto& a : args) inputs.push_back(to_array(a));
            return p.rows_at_once(inputs);
          },
          "How many rows of the batch a run on these inputs takes at a time.")
      .def_property_readonly(
          "rows_are_apart", [](const Program& p) { return p.plan().row_symbol.has_value(); },
          "Whether rows of the batch do not know of each other.")
      .def_property_readonly("kept", &Program::kept, "(memory plans kept, contexts that wait)")
      .def(
          "binding_ns",
          [](Program& p, const std::vector<std::vector<py::object>>& calls) {
            std::vector<std::vector<Array>> inputs;
            for (const auto& call : calls) {
              inputs.emplace_back();
              for (const auto& a : call) inputs.back().push_back(to_array(a));
            }
            return p.binding_ns(inputs);
          },
          py::arg("calls"), "Nanoseconds from each call to where its kernels would run.")
      .def_property_readonly("name", [](const Program& p) { return p.plan().name; })
      .def_property_readonly(
          "kernels",
          [](const Program& p) {
            std::vector<std::pair<std::string, std::string>> list;
            for (const auto* steps : {&p.plan().prepare, &p.plan().steps})
              for (const PlanStep& step : *steps) list.emplace_back(step.op->name(), step.kernel_name());
            return list;
          },
          "(op, kernel) of every step, prepared ones first.")
      .def_property_readonly("plan", [](const Program& p) { return p.plan().str(); })
      .def("__repr__", [](const Program& p) {
        return text("<Program '", p.plan().name, "' of ", p.plan().steps.size(), " steps>");
      });

  py::class_<Trace, std::shared_ptr<Trace>>(m, "Trace", "Records what is computed inside `with` as a graph.")
      .def(py::init<bool, bool>(), py::arg("body") = false, py::arg("values") = false)
      .def(
          "input_value",
          [](Trace& t, const py::object& value, const std::string& name) {
            return t.input_value(to_array(value), name);
          },
          py::arg("value"), py::arg("name") = "x", "An input with its value, for a trace that runs what it records.")
      .def("commit", &Trace::commit, "Writes the variables: the end of a step whose trace has values.")
      .def("__enter__",
           [](const std::shared_ptr<Trace>& t) {
             t->enter();
             return t;
           })
      .def("__exit__", [](Trace& t, const py::args&) { t.exit(); })
      .def("overlay",
           [](Trace& t, const std::vector<VariablePtr>& variables, const std::vector<py::object>& values) {
             Nodes nodes;
             for (const auto& v : values) nodes.push_back(to_node(v));
             t.overlay(variables, nodes);
           })
      .def("end_overlay",
           [](Trace& t, const std::vector<VariablePtr>& variables) {
             py::list out;
             for (const Node& n : t.end_overlay(variables)) out.append(Tensor(n));
             return out;
           })
      .def("input", &Trace::input, py::arg("shape"), py::arg("dtype") = "float32", py::arg("name") = "x")
      .def("graph",
           [](const Trace& t, const std::vector<py::object>& outputs) {
             Nodes nodes;
             for (const auto& o : outputs) nodes.push_back(to_node(o));
             return t.graph(nodes).str();
           })
      .def(
          "simplified",
          [](const Trace& t, const std::vector<py::object>& outputs, const std::string& pass) {
            Nodes nodes;
            for (const auto& o : outputs) nodes.push_back(to_node(o));
            const Graph g = t.graph(nodes);
            if (pass == "recognize") return passes::recognize(g).str();
            if (pass == "layout") return passes::recognize(passes::layout(passes::recognize(g))).str();
            if (pass == "precision") return passes::precision(g).str();
            check(pass == "all", "passes are 'recognize', 'layout', 'precision' and 'all', received '", pass, "'");
            return passes::simplify(g).str();
          },
          py::arg("outputs"), py::arg("passes") = "all", "The graph as text after some passes.")
      .def(
          "compile",
          [](const Trace& t, const std::vector<py::object>& outputs, const std::string& name,
             const std::string& accuracy) {
            check(accuracy == "fast" || accuracy == "exact", "accuracy must be 'fast' or 'exact', received '", accuracy,
                  "'");
            Nodes nodes;
            for (const auto& o : outputs) nodes.push_back(to_node(o));
            const NumericsScope scope({.exact = accuracy == "exact"});
            return std::make_shared<Program>(t.graph(nodes), name);
          },
          py::arg("outputs"), py::arg("name") = "function", py::arg("accuracy") = "fast");

  m.def(
      "set_autocast",
      [](const std::optional<std::string>& dtype) {
        auto old = autocast ? std::optional<std::string>(to_string(*autocast)) : std::nullopt;
        autocast = dtype ? std::optional(parse_dtype(*dtype)) : std::nullopt;
        return old;
      },
      "The dtype in which this thread reads variables from now on (None: their own); returns the one before.");
  m.def(
      "has_values", [] { return Trace::current() && Trace::current()->has_values(); },
      "True in a trace that runs what it records: Python may look at values.");
  m.def("new_size", [](const std::string& name) { return Dim::symbol(name); }, "A size that a run will tell.");
  m.def("plans_built", &Plan::built, "How many plans this process made so far.");
  m.def("set_passes", &passes::set_enabled, py::arg("on"),
        "Whether graphs are changed more than they must be to run; off, tests have what they compare with.");
  m.def("pause_traces", &Trace::pause, "Until resume_traces ops run eagerly, as outside every trace.");
  m.def("resume_traces", &Trace::resume);
  m.def("current_trace", []() -> Trace* { return Trace::current(); }, py::return_value_policy::reference);
  m.def("is_tracing", [] { return Trace::current() != nullptr; });
  m.def(
      "gradients",
      [](const py::object& loss, const std::vector<py::object>& targets, const py::object& dloss) {
        Nodes nodes;
        for (const auto& t : targets) nodes.push_back(Trace::source(t));
        py::list out;
        Trace* trace = Trace::current();
        nodes.push_back(to_node(loss));
        // A rewrite may look through nodes that are not leaves, or make one of two.
        if (std::all_of(nodes.begin(), nodes.end() - 1,
                        [](const Node& n) { return n->leaf == Leaf::input || n->leaf == Leaf::state; }))
          Trace::recognize(nodes);
        const Node y = nodes.back();
        nodes.pop_back();
        for (const Node& n : dloss.is_none() ? gradients(y, nodes) : gradients(y, to_node(dloss), nodes))
          out.append(n ? py::cast(trace ? trace->tensor(n) : Tensor(n)) : py::none());
        return out;
      },
      py::arg("loss"), py::arg("targets"), py::arg("dloss") = py::none());
}

}  // namespace maas::bindings
