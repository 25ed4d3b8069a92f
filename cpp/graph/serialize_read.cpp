#include <cmath>
#include <limits>
#include <set>

#include "core/error.h"
#include "graph/lowered.h"
#include "graph/op.h"
#include "graph/serialize.h"

namespace maas {
namespace {

constexpr size_t kMaxRank = 32;

template <class T>
const T& need(const json::Value& v, const char* key, const char* kind) {
  const json::Value* member = v.find(key);
  const T* value = member ? member->get<T>() : nullptr;
  check(value, "'", key, "' must be ", kind, ", received ", member ? "something else" : "nothing");
  return *value;
}

// Members that nobody reads are refused: they would be lost when the file is saved again.
void check_keys(const json::Value& v, std::initializer_list<std::string_view> known) {
  for (const auto& [key, _] : *v.get<json::Object>())
    check(std::find(known.begin(), known.end(), key) != known.end(), "unknown member, received '", key, "'");
}

double special_number(const std::string& s) {
  if (s == "inf") return std::numeric_limits<double>::infinity();
  if (s == "-inf") return -std::numeric_limits<double>::infinity();
  check(s == "nan", "a list must hold numbers or sizes, received '", s, "'");
  return std::numeric_limits<double>::quiet_NaN();
}

class Reader {
 public:
  Reader(const TensorSource& tensors, std::map<std::string, VariablePtr>& variables)
      : tensors_(tensors), variables_(variables) {}

  Function function(const json::Value& v) {
    Function f;
    check(v.get<json::Object>(), "a function must be an object, received something else");
    f.name = need<std::string>(v, "name", "a string");
    try {
      read(v, f);
    } catch (const Error& e) {
      // The kind stays: memory is not a fault of the file.
      throw Error(e.kind(), text("function '", f.name, "'", at_ < 0 ? "" : text(", node ", at_), ": ", e.what()));
    }
    return f;
  }

 private:
  void read(const json::Value& v, Function& f) {
    check_keys(v, {"name", "symbols", "nodes", "inputs", "outputs", "updates"});
    for (const auto& s : need<json::List>(v, "symbols", "a list")) {
      const auto* name = s.get<std::string>();
      check(name && !name->empty(), "a symbol must be a name, received something else");
      for (const auto& [_, other] : symbols_) check(*name != other, "a symbol is there twice, received '", *name, "'");
      const Dim symbol = Dim::symbol(*name);
      symbols_.emplace_back(*symbol.as_symbol(), *name);
    }
    for (const auto& node : need<json::List>(v, "nodes", "a list")) {
      ++at_;
      check(node.get<json::Object>(), "a node must be an object, received something else");
      nodes_.push_back(read_node(node, f));
    }
    at_ = -1;
    const auto inputs = need<int64_t>(v, "inputs", "the number of inputs");
    check(inputs == static_cast<int64_t>(f.graph.inputs.size()), "the file counts ", inputs, " inputs, received ",
          f.graph.inputs.size());
    std::set<std::string> seen;
    for (const auto& item : need<json::List>(v, "outputs", "a list")) {
      auto [name, node] = named_value(item);
      check(seen.insert(name).second, "an output is there twice, received '", name, "'");
      f.output_names.push_back(name);
      f.graph.outputs.push_back(node);
    }
    for (const auto& item : need<json::List>(v, "updates", "a list")) {
      auto [name, node] = named_value(item);
      const auto it = variables_.find(name);
      check(it != variables_.end(), "an update of state that no node reads, received '", name, "'");
      const Variable& variable = *it->second;
      check(node.dtype() == variable.dtype() && node.shape() == to_shape(variable.shape()), "the update of '", name,
            "' must be ", variable.dtype(), to_string(to_shape(variable.shape())), ", received ", node.dtype(),
            to_string(node.shape()));
      for (const Update& u : f.graph.updates)
        check(u.variable != it->second, "two updates of one state, received '", name, "'");
      f.graph.updates.push_back({it->second, node});
    }
  }

  Node read_node(const json::Value& v, Function& f) {
    if (v.find("input")) {
      check_keys(v, {"input", "dtype", "shape"});
      const auto& name = need<std::string>(v, "input", "a name");
      check(nodes_.size() == f.graph.inputs.size(), "inputs must come first, received '", name, "'");
      for (const std::string& other : f.input_names)
        check(other != name, "an input is there twice, received '", name, "'");
      const Node node = input_node(spec(v), name);
      f.graph.inputs.push_back(node);
      f.input_names.push_back(name);
      return node;
    }
    if (v.find("state")) return read_state(v);
    if (v.find("constant")) return read_constant(v);
    check_keys(v, {"op", "in", "params"});
    const auto& name = need<std::string>(v, "op", "the name of an op");
    check(find_op(name) && !is_lowered(name), "this version has no such op for files, received '", name, "'");
    Nodes inputs;
    for (const auto& in : need<json::List>(v, "in", "a list")) inputs.push_back(value(in));
    ParamList params;
    if (const json::Value* p = v.find("params")) {
      check(p->get<json::Object>(), name, ": params must be an object, received something else");
      for (const auto& [key, item] : *p->get<json::Object>()) params.emplace_back(key, parameter(item));
    }
    return apply(make_op(name, params), std::move(inputs));
  }

  Node read_state(const json::Value& v) {
    check_keys(v, {"state", "name", "dtype", "shape", "trainable"});
    const auto& tensor = need<std::string>(v, "state", "the name of a tensor");
    const bool trainable = need<bool>(v, "trainable", "true or false");
    VariablePtr& variable = variables_[tensor];
    const Spec declared = spec(v);
    if (!variable)
      variable = std::make_shared<Variable>(Variable::Take{}, array(tensor, declared, true),
                                            need<std::string>(v, "name", "a string"), trainable);
    check(variable->dtype() == declared.dtype && declared.shape == to_shape(variable->shape()), "state '", tensor,
          "' is ", variable->dtype(), to_string(to_shape(variable->shape())), ", received ", declared.dtype,
          to_string(declared.shape));
    // One leaf for every state: gradients look for it.
    auto [it, fresh] = states_.try_emplace(tensor);
    if (fresh) it->second = state_node(variable);
    return it->second;
  }

  Node read_constant(const json::Value& v) {
    check_keys(v, {"constant", "dtype", "shape"});
    const json::Value& data = *v.find("constant");
    const Spec declared = spec(v);
    if (const auto* tensor = data.get<std::string>()) return constant_node(array(*tensor, declared));
    const auto* numbers = data.get<json::List>();
    check(numbers, "a constant must be the name of a tensor or a list of numbers, received something else");
    check(is_constant(declared.shape) && is_readable(declared.dtype) &&
              product(declared.shape).is(static_cast<int64_t>(numbers->size())),
          "a constant of ", numbers->size(), " numbers, received shape ", to_string(declared.shape));
    Array a(declared.dtype, eval(declared.shape, {}));
    for (size_t i = 0; i < numbers->size(); ++i) {
      const auto* whole = (*numbers)[i].get<int64_t>();
      const auto* real = (*numbers)[i].get<double>();
      check(whole || real, "a constant must hold numbers, received something else");
      write_element(a, static_cast<int64_t>(i), whole ? static_cast<double>(*whole) : *real);
    }
    return constant_node(std::move(a));
  }

  Array array(const std::string& tensor, const Spec& declared, bool take = false) {
    Array a = tensors_(tensor, take);
    // What no tensor format has is stored as bytes: int4, two to a byte.
    check(is_constant(declared.shape), "tensor '", tensor, "' needs known sizes, received ", to_string(declared.shape));
    if (declared.dtype == DType::i4 && a.dtype == DType::u8) {
      Array packed;
      packed.dtype = DType::i4;
      packed.shape = eval(declared.shape, {});
      packed.storage = a.storage;
      check(packed.bytes() == a.bytes(), "tensor '", tensor, "' needs ", packed.bytes(), " bytes, received ",
            a.bytes());
      return packed;
    }
    check(a.dtype == declared.dtype && to_shape(a.shape) == declared.shape, "tensor '", tensor, "' must be ",
          declared.dtype, to_string(declared.shape), ", received ", a.dtype, to_string(to_shape(a.shape)));
    return a;
  }

  Spec spec(const json::Value& v) {
    Spec s{parse_dtype(need<std::string>(v, "dtype", "a dtype")), shape(need<json::List>(v, "shape", "a list")), {}};
    for (const Dim& d : s.shape) check(!d.is_constant() || d.constant() >= 0, "a size must be >= 0, received ", d);
    return s;
  }
  Shape shape(const json::List& list) {
    check(list.size() <= kMaxRank, "at most ", kMaxRank, " axes are possible, received ", list.size());
    Shape s;
    for (const auto& item : list) s.push_back(size(item));
    return s;
  }
  Dim size(const json::Value& item) {
    if (const auto* i = item.get<int64_t>()) return *i;
    const auto* expression = item.get<std::string>();
    check(expression, "a size must be an int or an expression, received something else");
    return parse_dim(*expression, symbols_);
  }

  // A sub-graph: its nodes see only each other, and the symbols of the function.
  Body body(const json::Value& v) {
    check(v.get<json::Object>(), "a body must be an object, received something else");
    check_keys(v, {"nodes", "inputs", "outputs"});
    Nodes around = std::move(nodes_);
    nodes_.clear();
    Function f;
    for (const auto& node : need<json::List>(v, "nodes", "a list")) {
      check(node.get<json::Object>() && !node.find("state"), "a node of a body must be an input, a constant or an op, ",
            "received something else");
      nodes_.push_back(read_node(node, f));
    }
    check(need<int64_t>(v, "inputs", "the number of inputs") == static_cast<int64_t>(f.graph.inputs.size()),
          "a body's count of inputs is wrong, received ", f.graph.inputs.size());
    for (const auto& item : need<json::List>(v, "outputs", "a list")) f.graph.outputs.push_back(value(item));
    nodes_ = std::move(around);
    return {std::make_shared<const Graph>(std::move(f.graph))};
  }

  ParamValue parameter(const json::Value& v) {
    if (const auto* b = v.get<bool>()) return *b;
    if (const auto* i = v.get<int64_t>()) return *i;
    if (const auto* d = v.get<double>()) return *d;
    if (const auto* s = v.get<std::string>()) {
      // A lone special number; as the value of a string parameter from_param would refuse it, so nothing is lost.
      if (*s == "inf" || *s == "-inf" || *s == "nan") return special_number(*s);
      return *s;
    }
    const auto* list = v.get<json::List>();
    if (list && !list->empty() && (*list)[0].get<json::Object>()) {
      Bodies bodies;
      for (const auto& item : *list) bodies.push_back(body(item));
      return bodies;
    }
    check(list, "a parameter must be a number, a string or a list, received something else");
    bool whole = true, numbers = true;
    for (const auto& item : *list) {
      const auto* s = item.get<std::string>();
      const bool special = s && (*s == "inf" || *s == "-inf" || *s == "nan");
      whole = whole && item.get<int64_t>();
      numbers = numbers && (item.get<int64_t>() || item.get<double>() || special);
    }
    if (whole) {
      std::vector<int64_t> values;
      for (const auto& item : *list) values.push_back(*item.get<int64_t>());
      return values;
    }
    if (!numbers) return shape(*list);
    std::vector<double> values;
    for (const auto& item : *list) {
      const auto* i = item.get<int64_t>();
      const auto* d = item.get<double>();
      values.push_back(i ? static_cast<double>(*i) : d ? *d : special_number(*item.get<std::string>()));
    }
    return values;
  }

  Node value(const json::Value& v) {
    const auto* pair = v.get<json::List>();
    const int64_t* node = pair && pair->size() == 2 ? (*pair)[0].get<int64_t>() : nullptr;
    const int64_t* output = node ? (*pair)[1].get<int64_t>() : nullptr;
    check(output, "a value must be [node, output], received something else");
    // Nodes read only what came before, so there are no cycles.
    check(*node >= 0 && *node < static_cast<int64_t>(nodes_.size()), "a value must come from one of ", nodes_.size(),
          " earlier nodes, received ", *node);
    const Node& from = nodes_[static_cast<size_t>(*node)];
    check(*output >= 0 && *output < static_cast<int64_t>(from->outputs.size()), "node ", *node, " has ",
          from->outputs.size(), " outputs, received ", *output);
    return from.output(static_cast<int>(*output));
  }
  std::pair<std::string, Node> named_value(const json::Value& v) {
    const auto* pair = v.get<json::List>();
    const auto* name = pair && pair->size() == 2 ? (*pair)[0].get<std::string>() : nullptr;
    check(name, "expected [name, [node, output]], received something else");
    return {*name, value((*pair)[1])};
  }

  const TensorSource& tensors_;
  std::map<std::string, VariablePtr>& variables_;
  std::map<std::string, Node> states_;
  SymbolNames symbols_;
  Nodes nodes_;
  int64_t at_ = -1;
};

}  // namespace

std::vector<Function> from_json(const json::Value& document, const TensorSource& tensors,
                                std::map<std::string, VariablePtr>& variables) {
  check(document.get<json::Object>(), "graph: expected an object, received something else");
  check_keys(document, {"functions"});
  std::vector<Function> functions;
  for (const auto& f : need<json::List>(document, "functions", "a list")) {
    functions.push_back(Reader(tensors, variables).function(f));
    for (size_t i = 0; i + 1 < functions.size(); ++i)
      check(functions[i].name != functions.back().name, "a function is there twice, received '", functions[i].name,
            "'");
  }
  return functions;
}

}  // namespace maas
