#include <cmath>
#include <functional>
#include <unordered_map>

#include "core/error.h"
#include "graph/op.h"
#include "graph/serialize.h"

namespace maas {
namespace {

// Constants up to this many elements are written as numbers, so that people can read a graph.
constexpr int64_t kInlineElements = 16;
constexpr double kExactInteger = 9007199254740992;  // 2^53

bool is_inline(const Array& a) {
  if (a.size() > kInlineElements || !is_readable(a.dtype)) return false;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double v = read_element(a, i);
    if (!std::isfinite(v) || (v == 0 && std::signbit(v)) || (!is_floating(a.dtype) && std::fabs(v) > kExactInteger))
      return false;
  }
  return true;
}

class Writer {
 public:
  Writer(std::string& out, TensorNames& tensors) : out_(out), tensors_(tensors) {}

  void function(const Function& f) {
    name_symbols(f);
    out_ += "{\"name\":";
    json::write_string(out_, f.name);
    out_ += ",\"symbols\":[";
    list(symbols_, [&](const auto& s) { json::write_string(out_, s.second); });
    out_ += "],\"nodes\":[\n";
    number_.clear();
    for (size_t i = 0; i < f.graph.inputs.size(); ++i) input(f.graph.inputs[i], f.input_names[i]);
    for (const auto& node : topological_order(f.graph.roots()))
      if (node->leaf != Leaf::input) this->node(*node);
    out_ += "\n],\"inputs\":";
    out_ += std::to_string(f.graph.inputs.size());
    out_ += ",\"outputs\":[";
    size_t i = 0;
    list(f.graph.outputs, [&](const Node& n) {
      out_ += '[';
      json::write_string(out_, f.output_names[i++]);
      out_ += ',';
      value(n);
      out_ += ']';
    });
    out_ += "],\"updates\":[";
    list(f.graph.updates, [&](const Update& u) {
      out_ += '[';
      json::write_string(out_, tensors_.of(u.variable));
      out_ += ',';
      value(u.value);
      out_ += ']';
    });
    out_ += "]}";
  }

 private:
  template <class List, class Each>
  void list(const List& items, const Each& each) {
    bool first = true;
    for (const auto& item : items) {
      if (!first) out_ += ',';
      first = false;
      each(item);
    }
  }

  // Names are unique inside a function and hold only what the expressions of sizes allow.
  void name_symbols(const Function& f) {
    SymbolNames found;
    auto collect = [&](const Shape& shape) {
      for (const Dim& d : shape) d.collect_symbols(found);
    };
    const std::function<void(const Graph&)> collect_graph = [&](const Graph& graph) {
      for (const Node& n : graph.inputs) collect(n.shape());
      for (const auto& node : topological_order(graph.roots())) {
        for (const Spec& s : node->outputs) collect(s.shape);
        if (!node->op) continue;
        for (const auto& [_, value] : node->op->params()) {
          if (const Shape* shape = std::get_if<Shape>(&value)) collect(*shape);
          if (const Bodies* bodies = std::get_if<Bodies>(&value))
            for (const Body& body : *bodies) collect_graph(*body.graph);
        }
      }
    };
    collect_graph(f.graph);
    symbols_.clear();
    for (const auto& [id, given] : found) {
      std::string name;
      for (const char c : given) name += std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
      if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0]))) name = "n" + name;
      const std::string base = name;
      for (int k = 2; std::any_of(symbols_.begin(), symbols_.end(), [&](const auto& s) { return s.second == name; });)
        name = text(base, "_", k++);
      symbols_.emplace_back(id, name);
    }
  }

  void begin(const NodeData& node) {
    if (!number_.empty()) out_ += ",\n";
    number_.emplace(&node, number_.size());
  }
  void spec(const Spec& s) {
    out_ += text(",\"dtype\":\"", s.dtype, "\",\"shape\":");
    shape(s.shape);
  }
  void shape(const Shape& s) {
    out_ += '[';
    list(s, [&](const Dim& d) {
      if (d.is_constant())
        out_ += d.str();
      else
        json::write_string(out_, d.str(symbols_));
    });
    out_ += ']';
  }
  void value(const Node& n) { out_ += text("[", number_.at(n.data()), ",", n.index(), "]"); }

  void input(const Node& n, const std::string& name) {
    begin(*n.data());
    out_ += "{\"input\":";
    json::write_string(out_, name);
    spec(n.spec());
    out_ += '}';
  }

  void node(const NodeData& n) {
    begin(n);
    if (n.leaf == Leaf::state) {
      out_ += "{\"state\":";
      json::write_string(out_, tensors_.of(n.variable));
      out_ += ",\"name\":";
      json::write_string(out_, n.variable->name);
      spec(n.outputs[0]);
      out_ += text(",\"trainable\":", n.variable->initial_trainable ? "true" : "false", "}");
    } else if (n.leaf == Leaf::constant) {
      out_ += "{\"constant\":";
      if (is_inline(n.constant)) {
        out_ += '[';
        for (int64_t i = 0; i < n.constant.size(); ++i) {
          if (i) out_ += ',';
          json::write_number(out_, read_element(n.constant, i));
        }
        out_ += ']';
      } else {
        json::write_string(out_, tensors_.constant(n.constant));
      }
      spec(n.outputs[0]);
      out_ += '}';
    } else {
      out_ += "{\"op\":";
      json::write_string(out_, n.op->name());
      out_ += ",\"in\":[";
      list(n.inputs, [&](const Node& in) { value(in); });
      out_ += ']';
      const ParamList params = n.op->params();
      if (!params.empty()) {
        out_ += ",\"params\":{";
        list(params, [&](const auto& p) {
          json::write_string(out_, p.first);
          out_ += ':';
          parameter(p.second);
        });
        out_ += '}';
      }
      out_ += '}';
    }
  }

  void number(double v) {
    if (std::isfinite(v))
      json::write_number(out_, v);
    else
      out_ += std::isnan(v) ? "\"nan\"" : v > 0 ? "\"inf\"" : "\"-inf\"";
  }
  // A sub-graph: its own numbers of nodes, the symbols of the function.
  void body(const Graph& graph) {
    auto around = std::move(number_);
    number_.clear();
    out_ += "{\"nodes\":[\n";
    for (size_t i = 0; i < graph.inputs.size(); ++i) input(graph.inputs[i], text("x", i));
    for (const auto& n : topological_order(graph.roots()))
      if (n->leaf != Leaf::input) node(*n);
    out_ += text("\n],\"inputs\":", graph.inputs.size(), ",\"outputs\":[");
    list(graph.outputs, [&](const Node& n) { value(n); });
    out_ += "]}";
    number_ = std::move(around);
  }

  void parameter(const ParamValue& value) {
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, bool>) {
            out_ += v ? "true" : "false";
          } else if constexpr (std::is_same_v<T, int64_t>) {
            out_ += std::to_string(v);
          } else if constexpr (std::is_same_v<T, double>) {
            number(v);
          } else if constexpr (std::is_same_v<T, std::string>) {
            json::write_string(out_, v);
          } else if constexpr (std::is_same_v<T, DType>) {
            json::write_string(out_, to_string(v));
          } else if constexpr (std::is_same_v<T, Shape>) {
            shape(v);
          } else if constexpr (std::is_same_v<T, std::vector<double>>) {
            out_ += '[';
            list(v, [&](double d) { number(d); });
            out_ += ']';
          } else if constexpr (std::is_same_v<T, Bodies>) {
            out_ += '[';
            list(v, [&](const Body& b) { body(*b.graph); });
            out_ += ']';
          } else {
            static_assert(std::is_same_v<T, std::vector<int64_t>>);
            out_ += '[';
            list(v, [&](int64_t i) { out_ += std::to_string(i); });
            out_ += ']';
          }
        },
        value);
  }

  std::string& out_;
  TensorNames& tensors_;
  SymbolNames symbols_;
  std::unordered_map<const NodeData*, size_t> number_;
};

}  // namespace

std::string TensorNames::unique(std::string wanted) {
  if (wanted.empty()) wanted = "tensor";
  std::string name = wanted;
  while (used_[name]++) name = text(wanted, "_", used_[wanted]++);
  return name;
}

const std::string& TensorNames::of(const VariablePtr& variable, const std::string& wanted) {
  for (const auto& [name, known] : variables_)
    if (known == variable) return name;
  variables_.emplace_back(unique(wanted), variable);
  return variables_.back().first;
}

std::string TensorNames::constant(const Array& value) {
  for (const auto& [name, known] : constants_)
    if (known.storage == value.storage && known.dtype == value.dtype && known.shape == value.shape) return name;
  constants_.emplace_back(unique(text("constants/", constants_.size())), value);
  return constants_.back().first;
}

void TensorNames::add(const std::string& name, Array value) {
  check(used_[name]++ == 0, "two tensors of one name, received '", name, "'");
  constants_.emplace_back(name, std::move(value));
}

std::string to_json(const std::vector<Function>& functions, TensorNames& names) {
  std::string out = "{\"functions\":[\n";
  for (size_t i = 0; i < functions.size(); ++i) {
    if (i) out += ",\n";
    Writer(out, names).function(functions[i]);
  }
  return out + "\n]}";
}

}  // namespace maas
