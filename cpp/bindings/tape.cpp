// GradientTape outside traces: eager ops as they ran, and gradients that run eagerly too, so that an outer tape sees
// them.
#include "bindings/tape.h"

#include <algorithm>

#include "core/error.h"
#include "ops/build.h"
#include "ops/transform/transform.h"
#include "runtime/eager.h"

namespace maas::bindings {
namespace {

thread_local std::vector<Tape*> tapes;

Array ones(const Array& like) {
  Array a(like.dtype, like.shape);
  for (int64_t i = 0; i < a.size(); ++i) write_element(a, i, 1);
  return a;
}

}  // namespace

bool is_recording() {
  return !Trace::current() && std::any_of(tapes.begin(), tapes.end(), [](const Tape* t) { return !t->paused; });
}

void record_eager(const OpPtr& op, const std::vector<Array>& in, const std::vector<Array>& out) {
  for (Tape* t : tapes)
    if (!t->paused) t->record(op, in, out);
}

void record_read(const VariablePtr& variable, const Array& value) {
  for (Tape* t : tapes)
    if (!t->paused) t->read(variable, value);
}

bool Evaluator::has(const Node& n) const {
  auto it = known_.find(n.data());
  return it != known_.end() && static_cast<size_t>(n.index()) < it->second.second.size();
}

Array Evaluator::operator()(const Node& wanted) {
  std::vector<Node> stack{wanted};
  while (!stack.empty()) {
    const Node node = stack.back();
    if (has(node)) {
      stack.pop_back();
      continue;
    }
    const size_t depth = stack.size();
    for (const Node& in : node->inputs)
      if (!has(in)) stack.push_back(in);
    if (stack.size() > depth) continue;
    stack.pop_back();
    std::vector<Array> results;
    switch (node->leaf) {
      case Leaf::constant:
        results = {node->constant};
        break;
      case Leaf::state:
        results = {read_variable(*node->variable)};
        record_read(node->variable, results[0]);
        break;
      case Leaf::input:
        fail(ErrorKind::type, "a symbolic tensor has no value while it is traced, received input '", node->name, "'");
      case Leaf::none: {
        std::vector<Array> arrays;
        for (const Node& in : node->inputs)
          arrays.push_back(known_.at(in.data()).second[static_cast<size_t>(in.index())]);
        // With residual outputs, which a gradient may read.
        const bool residuals = node->outputs.size() > static_cast<size_t>(node->op->visible_outputs());
        results = run_program(*eager_program(node->op, arrays, residuals), arrays);
        record_eager(node->op, arrays, results);
      }
    }
    known_[node.data()] = {Node(node.pointer(), 0), std::move(results)};
  }
  return known_.at(wanted.data()).second[static_cast<size_t>(wanted.index())];
}

void Tape::enter() { tapes.push_back(this); }

void Tape::exit() {
  // Tapes may end in another order than they began.
  auto it = std::find(tapes.rbegin(), tapes.rend(), this);
  if (it == tapes.rend()) fail(ErrorKind::runtime, "GradientTape: this tape is not recording on this thread");
  tapes.erase(std::next(it).base());
}

void Tape::watch(const Array& array) {
  if (!array.storage) return;
  kept_.push_back(array);
  active_.insert(array.storage.get());
}

void Tape::record(const OpPtr& op, const std::vector<Array>& in, const std::vector<Array>& out) {
  const bool any = std::any_of(
      in.begin(), in.end(), [&](const Array& a) { return is_floating(a.dtype) && active_.count(a.storage.get()) > 0; });
  if (!any) return;
  for (const Array& a : out)
    if (is_floating(a.dtype)) active_.insert(a.storage.get());
  records_.push_back({op, in, out});
}

void Tape::read(const VariablePtr& variable, const Array& value) {
  if (!is_floating(value.dtype) || !(watch_variables_ || watched_.count(variable.get()))) return;
  active_.insert(value.storage.get());
  reads_.emplace_back(variable, value);
}

void Tape::reset() {
  records_.clear();
  kept_.clear();
  active_.clear();
  reads_.clear();
  used_ = false;
}

std::vector<VariablePtr> Tape::variables() const {
  std::vector<VariablePtr> out;
  for (const auto& [v, a] : reads_)
    if (std::find(out.begin(), out.end(), v) == out.end()) out.push_back(v);
  return out;
}

std::vector<Array> Tape::gradient(const std::vector<Array>& targets, const std::vector<Array>& dys,
                                  const std::vector<Source>& sources) {
  Evaluator value;
  std::unordered_map<const Storage*, Node> node_of;
  auto node = [&](const Array& a) {
    auto it = node_of.find(a.storage.get());
    if (it != node_of.end()) return it->second;
    const Node leaf = input_node({a.dtype, to_shape(a.shape), {}}, "recorded");
    value.know(leaf, {a});
    return node_of[a.storage.get()] = leaf;
  };
  // A tape that may be asked again keeps its records; what the gradient itself runs is recorded behind them.
  std::vector<Record> records = persistent_ ? records_ : std::exchange(records_, {});
  const auto reads = reads_;
  const auto kept = kept_;
  if (!persistent_) {
    reset();
    used_ = true;
  }
  for (const Record& r : records) {
    Nodes inputs;
    for (const Array& a : r.in) inputs.push_back(node(a));
    const Node result = apply(r.op, std::move(inputs));
    value.know(result, r.out);
    for (size_t i = 0; i < r.out.size(); ++i) node_of[r.out[i].storage.get()] = result.output(static_cast<int>(i));
  }
  // A variable is the sum of its readings.
  Nodes wanted;
  std::vector<size_t> owner;
  for (size_t s = 0; s < sources.size(); ++s) {
    auto want = [&](const Array& a) {
      if (auto it = node_of.find(a.storage.get()); it != node_of.end()) {
        wanted.push_back(it->second);
        owner.push_back(s);
      }
    };
    if (!sources[s].variable) want(sources[s].array);
    for (const auto& [v, a] : reads)
      if (v == sources[s].variable) want(a);
  }
  Nodes total(sources.size());
  for (size_t t = 0; t < targets.size(); ++t) {
    auto it = node_of.find(targets[t].storage.get());
    if (it == node_of.end()) continue;
    const Array dy = dys[t] ? dys[t] : ones(targets[t]);
    const Nodes found = gradients(it->second, node(dy), wanted);
    for (size_t i = 0; i < found.size(); ++i)
      if (found[i]) total[owner[i]] = total[owner[i]] ? add(total[owner[i]], found[i]) : found[i];
  }
  std::vector<Array> out;
  for (const Node& n : total) out.push_back(n ? value(n) : Array());
  return out;
}

void bind_tape(py::module_& m) {
  py::class_<Tape, std::shared_ptr<Tape>>(m, "Tape", "Records the eager ops of this thread.")
      .def(py::init<bool, bool>(), py::arg("persistent"), py::arg("watch_variables"))
      .def("enter", &Tape::enter)
      .def("exit", &Tape::exit)
      .def("reset", &Tape::reset)
      .def_readwrite("paused", &Tape::paused)
      .def_property_readonly("used", &Tape::used)
      .def("variables", &Tape::variables)
      .def("watch",
           [](Tape& t, const py::object& x) {
             if (py::isinstance<Variable>(x))
               t.watch(x.cast<VariablePtr>());
             else
               t.watch(x.cast<const Tensor&>().array);
           })
      .def("gradient", [](Tape& t, const std::vector<py::object>& targets, const std::vector<py::object>& dys,
                          const std::vector<py::object>& sources) {
        std::vector<Array> ys, ds;
        for (const auto& y : targets) ys.push_back(y.cast<const Tensor&>().array);
        for (const auto& d : dys) ds.push_back(d.is_none() ? Array() : d.cast<const Tensor&>().array);
        std::vector<Tape::Source> from;
        for (const auto& s : sources) {
          if (py::isinstance<Variable>(s))
            from.push_back({Array(), s.cast<VariablePtr>()});
          else
            from.push_back({s.cast<const Tensor&>().array, nullptr});
        }
        py::list out;
        for (Array& a : t.gradient(ys, ds, from)) out.append(a ? py::cast(Tensor(std::move(a))) : py::none());
        return out;
      });
  m.def("is_recording", &is_recording, "True if a tape records the eager ops of this thread.");
  m.def(
      "evaluate",
      [](const std::vector<py::object>& wanted, const std::vector<py::object>& inputs,
         const std::vector<py::object>& values) {
        Evaluator value;
        for (size_t i = 0; i < inputs.size(); ++i)
          value.know(inputs[i].cast<const Tensor&>().node, {values[i].cast<const Tensor&>().array});
        py::list out;
        for (const auto& w : wanted) out.append(Tensor(value(w.cast<const Tensor&>().node)));
        return out;
      },
      "Values of traced tensors, computed op by op from those of inputs, as tapes see it.");
  m.def(
      "gradients_of",
      [](const std::vector<py::object>& ys, const std::vector<py::object>& dys,
         const std::vector<py::object>& targets) {
        Trace* const trace = Trace::current();
        Nodes wanted;
        for (const auto& t : targets) wanted.push_back(Trace::source(t));
        Nodes total(wanted.size());
        // As in `gradients`: other targets than leaves must stay what they are.
        const bool leaves = std::all_of(wanted.begin(), wanted.end(),
                                        [](const Node& n) { return n->leaf == Leaf::input || n->leaf == Leaf::state; });
        const auto count = static_cast<std::ptrdiff_t>(wanted.size());
        for (const auto& y : ys) wanted.push_back(to_node(y));
        if (leaves) Trace::recognize(wanted);
        const Nodes values(wanted.begin() + count, wanted.end());
        wanted.resize(static_cast<size_t>(count));
        for (size_t i = 0; i < ys.size(); ++i) {
          const Node& y = values[i];
          const Nodes found = dys[i].is_none() ? gradients(y, wanted) : gradients(y, to_node(dys[i]), wanted);
          for (size_t k = 0; k < found.size(); ++k)
            if (found[k]) total[k] = total[k] ? add(total[k], found[k]) : found[k];
        }
        py::list out;
        for (const Node& n : total) out.append(n ? py::cast(trace ? trace->tensor(n) : Tensor(n)) : py::none());
        return out;
      },
      "Gradients of the sum of ys for given gradients of each (None: ones).");
  m.def("node_mark", [] { return scalar_node(DType::f32, 0)->id; }, "Nodes made later have a greater number.");
  m.def(
      "remat_between",
      [](const std::vector<py::object>& outputs, int64_t start) {
        Nodes inputs;
        for (const auto& o : outputs) inputs.push_back(o.cast<const Tensor&>().node);
        const Nodes from = boundary(inputs, start);
        inputs.insert(inputs.end(), from.begin(), from.end());
        const Node y = op("remat", std::move(inputs), {{"outputs", static_cast<int64_t>(outputs.size())}});
        py::list out;
        for (size_t i = 0; i < outputs.size(); ++i) out.append(Tensor(y.output(static_cast<int>(i))));
        return out;
      },
      "The outputs; their gradient computes again what was recorded since `start`.");
}

}  // namespace maas::bindings
