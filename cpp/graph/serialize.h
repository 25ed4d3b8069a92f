// Graphs as JSON text, for model files. Data stays outside: states and large constants are named tensors.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "core/json.h"
#include "graph/graph.h"

namespace maas {

// A graph under a name, with the names that callers use. Updates of state are part of the graph.
struct Function {
  std::string name;
  Graph graph;
  std::vector<std::string> input_names, output_names;
};

// Hands out the names of the tensors of one file; equal variables get equal names.
class TensorNames {
 public:
  // `wanted` made unique.
  const std::string& of(const VariablePtr& variable, const std::string& wanted);
  const std::string& of(const VariablePtr& variable) { return of(variable, variable->name); }
  std::string constant(const Array& value);
  void add(const std::string& name, Array value);  // ValueError if the name is taken

  const std::vector<std::pair<std::string, VariablePtr>>& variables() const { return variables_; }
  const std::vector<std::pair<std::string, Array>>& constants() const { return constants_; }

 private:
  std::string unique(std::string wanted);
  std::map<std::string, int> used_;
  std::vector<std::pair<std::string, VariablePtr>> variables_;
  std::vector<std::pair<std::string, Array>> constants_;
};

// {"functions": [{"name", "symbols", "nodes": [...], "outputs", "updates"}]}
//   node: {"input": name, "dtype", "shape"} | {"state": tensor, "name", "dtype", "shape", "trainable"}
//       | {"constant": tensor or list of numbers, "dtype", "shape"} | {"op": name, "in": [[node, output]],
//       ...parameters}
//   a parameter that holds sub-graphs: [{"nodes": [...], "inputs": count, "outputs": [[node, output]]}]
//   sizes: a number, or an expression over the function's symbols
std::string to_json(const std::vector<Function>& functions, TensorNames& names);

// Values of the tensors that a file holds. With `take` the caller keeps the array for itself, to write to it; the
// source may then be its only other holder. Throws Error(value) for a name it does not have.
using TensorSource = std::function<Array(const std::string& name, bool take)>;
// Builds every function anew: shapes are inferred again, so a lying text is found. States with the same tensor are one
// Variable, which `variables` keeps by tensor name. Throws Error naming function and node.
std::vector<Function> from_json(const json::Value& document, const TensorSource& tensors,
                                std::map<std::string, VariablePtr>& variables);

}  // namespace maas
