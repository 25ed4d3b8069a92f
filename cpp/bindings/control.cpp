// Sub-Graphs of cond, while_loop and scan: from traces of bodies to Body parameters and what they read from outside.
#include <algorithm>

#include "bindings/common.h"
#include "core/error.h"

namespace maas::bindings {
namespace {

struct ClosedBodies {
  Bodies bodies;
  std::vector<Tensor> captures;         // values from outside, inputs of all bodies
  std::vector<VariablePtr> written;     // state that a body gives a new value
  std::vector<Tensor> written_initial;  // and what it holds before
};

// All bodies take: their own first `carries` inputs, written state, their other inputs, captures. Those that `write`
// give: their first `carries` outputs, written state, their other outputs.
ClosedBodies close_bodies(const std::vector<std::shared_ptr<Trace>>& traces,
                          const std::vector<std::vector<py::object>>& outputs, const std::vector<bool>& write,
                          size_t carries, const std::string& op) {
  Trace* around = Trace::current();
  if (!around) fail(ErrorKind::runtime, op, ": bodies are recorded only inside a trace");
  ClosedBodies closed;
  auto is_written = [&](const VariablePtr& v) {
    return std::find(closed.written.begin(), closed.written.end(), v) != closed.written.end();
  };
  for (size_t b = 0; b < traces.size(); ++b)
    for (const Trace::State& s : traces[b]->state())
      if (!(s.input == s.value)) {
        if (!write[b])
          fail(ErrorKind::value, op, ": cond must not write state, received a write of variable '", s.variable->name,
               "'");
        if (!is_written(s.variable)) closed.written.push_back(s.variable);
      }
  for (const VariablePtr& v : closed.written) closed.written_initial.emplace_back(around->read(v));

  Nodes captures;                           // values of the trace around
  std::vector<Nodes> inner(traces.size());  // by body, the inputs that stand for them
  auto capture = [&](size_t b, const Node& outside) {
    size_t k = static_cast<size_t>(std::find(captures.begin(), captures.end(), outside) - captures.begin());
    if (k == captures.size()) captures.push_back(outside);
    if (inner[b].size() <= k) inner[b].resize(k + 1);
    if (!inner[b][k]) inner[b][k] = input_node(outside.spec(), outside->name);
    return inner[b][k];
  };
  std::vector<Graph> graphs(traces.size());
  for (size_t b = 0; b < traces.size(); ++b) {
    Trace& trace = *traces[b];
    Nodes roots, state_in, state_out;
    for (const py::object& o : outputs[b]) roots.push_back(to_node(o));
    for (const VariablePtr& v : closed.written) {
      auto& list = trace.state();
      auto it = std::find_if(list.begin(), list.end(), [&](const auto& s) { return s.variable == v; });
      const Node in = it != list.end() ? it->input : input_node({v->dtype(), to_shape(v->shape()), {}}, v->name);
      state_in.push_back(in);
      state_out.push_back(it != list.end() ? it->value : in);
    }
    if (write[b])
      roots.insert(roots.begin() + static_cast<std::ptrdiff_t>(carries), state_out.begin(), state_out.end());
    Nodes& inputs = graphs[b].inputs;
    inputs = trace.inputs;
    inputs.insert(inputs.begin() + static_cast<std::ptrdiff_t>(carries), state_in.begin(), state_in.end());
    graphs[b].outputs = close_over(roots, trace.start(), [&](const Node& n) { return capture(b, n); });
    // State that is only read comes from outside like any value.
    Nodes replaced;
    Graph with_state{{}, graphs[b].outputs, {}};
    for (const Trace::State& s : trace.state())
      if (!is_written(s.variable)) {
        with_state.inputs.push_back(s.input);
        replaced.push_back(capture(b, around->read(s.variable)));
      }
    graphs[b].outputs = call(with_state, replaced);
  }
  for (size_t b = 0; b < traces.size(); ++b) {
    inner[b].resize(captures.size());
    for (size_t k = 0; k < captures.size(); ++k) {
      if (!inner[b][k]) inner[b][k] = input_node(captures[k].spec(), captures[k]->name);
      graphs[b].inputs.push_back(inner[b][k]);
    }
    closed.bodies.push_back({std::make_shared<const Graph>(std::move(graphs[b]))});
  }
  for (const Node& n : captures) closed.captures.emplace_back(n);
  return closed;
}

}  // namespace

void bind_control(py::module_& m) {
  py::class_<Body>(m, "Body", "A sub-graph: what a branch or a turn of a loop computes.")
      .def("__repr__", [](const Body& b) { return b->str(); })
      .def("__eq__",
           [](const Body& a, const py::object& b) { return py::isinstance<Body>(b) && a == b.cast<const Body&>(); });
  m.def(
      "close_bodies",
      [](const std::vector<std::shared_ptr<Trace>>& traces, const std::vector<std::vector<py::object>>& outputs,
         const std::vector<bool>& write, size_t carries, const std::string& op) {
        ClosedBodies c = close_bodies(traces, outputs, write, carries, op);
        py::list captures, initial;
        for (Tensor& t : c.captures) captures.append(std::move(t));
        for (Tensor& t : c.written_initial) initial.append(std::move(t));
        return py::make_tuple(c.bodies, captures, c.written, initial);
      },
      "(bodies, captures, written variables, their values before) of traces of bodies.");
}

}  // namespace maas::bindings
