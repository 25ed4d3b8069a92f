#include "graph/op.h"

#include "core/error.h"

namespace maas {

bool Op::equals(const Op& other) const { return &info() == &other.info() && params() == other.params(); }

std::string Op::str() const {
  std::string s = name() + "(";
  bool first = true;
  for (const auto& [key, value] : params()) {
    s += (first ? "" : ", ") + key + "=" + to_string(value);
    first = false;
  }
  return s + ")";
}

OpPtr make_op(const std::string& name, const ParamList& params) {
  const OpInfo* info = find_op(name);
  if (!info) fail(ErrorKind::value, "unknown op, received '", name, "'");
  return info->create(params);
}

Node op(const std::string& name, Nodes inputs, const ParamList& params) {
  return apply(make_op(name, params), std::move(inputs));
}

}  // namespace maas
