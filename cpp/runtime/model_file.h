// `.maas` files: a safetensors file whose metadata holds the Graph.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "graph/serialize.h"
#include "runtime/program.h"

namespace maas {

// Metadata keys: "maas_format", "graph" (see graph/serialize.h), "sha256" of the tensor bytes and "sha256_header"
// of all else; others belong to whoever wrote them. A reader takes every format up to its own; it refuses newer
// ones and ops it does not know.
constexpr int kModelFormat = 1;

// A file to be written: functions and tensors are gathered, then encoded at once.
class ModelWriter {
 public:
  void add(Function function) { functions_.push_back(std::move(function)); }
  void set(const std::string& key, const std::string& value);  // ValueError for the keys above
  // The name of the tensor that holds a variable; it is stored even if no function reads it.
  std::string tensor(const VariablePtr& variable, const std::string& wanted) { return names_.of(variable, wanted); }
  // A tensor that no function reads.
  void array(const std::string& name, Array value) { names_.add(name, std::move(value)); }

  // The pieces of the file in order; the arrays keep them alive.
  struct Encoded {
    std::string header;
    std::vector<Array> data;
  };
  Encoded encode();

 private:
  std::vector<Function> functions_;
  std::map<std::string, std::string> metadata_;
  TensorNames names_;
};

// A loaded file. Programs are compiled when they are first asked for; all share the variables.
class SavedModel {
 public:
  // Throws Error(value) for a damaged file or a wrong checksum, naming what is wrong; Error(runtime) if it cannot be
  // opened.
  static std::shared_ptr<SavedModel> load(const std::string& path);

  const std::map<std::string, std::string>& metadata() const { return file_.metadata; }
  // Copies of all tensors; of those that are state, as they are now.
  std::map<std::string, Array> tensors() const;
  const std::map<std::string, VariablePtr>& variables() const { return variables_; }
  const std::vector<Function>& functions() const { return functions_; }
  // Throws Error(value) naming the functions there are.
  const Function& function(const std::string& name) const;
  std::shared_ptr<Program> program(const std::string& name);

 private:
  Safetensors file_;
  std::vector<Function> functions_;
  std::map<std::string, VariablePtr> variables_;
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<Program>> programs_;
};

}  // namespace maas
