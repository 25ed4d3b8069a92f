#include "graph/params.h"

#include <charconv>

#include "core/error.h"
#include "graph/graph.h"

namespace maas {
namespace {

// The shortest text that reads back as the same number: ops are compared by their text.
std::string exact(double value) {
  char digits[32];
  return {digits, std::to_chars(digits, digits + sizeof digits, value).ptr};
}

template <class T>
std::string list(const std::vector<T>& values) {
  std::string s = "[";
  for (size_t i = 0; i < values.size(); ++i) {
    if (i) s += ", ";
    if constexpr (std::is_same_v<T, double>)
      s += exact(values[i]);
    else
      s += text(values[i]);
  }
  return s + "]";
}

std::string to_string(const Bodies& bodies) {
  std::string s = "[";
  for (const Body& b : bodies) s += (s.size() > 1 ? ", {\n" : "{\n") + b->str() + "}";
  return s + "]";
}

[[noreturn]] void wrong(ParamName name, const char* expected, const ParamValue& value) {
  fail(ErrorKind::type, name.op, ": ", name.param, " must be ", expected, ", received ", to_string(value));
}

}  // namespace

std::string to_string(const ParamValue& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, bool>)
          return v ? "true" : "false";
        else if constexpr (std::is_same_v<T, std::string>)
          return "'" + v + "'";
        else if constexpr (std::is_same_v<T, DType>)
          return maas::to_string(v);
        else if constexpr (std::is_same_v<T, int64_t>)
          return text(v);
        else if constexpr (std::is_same_v<T, double>)
          return exact(v);
        else if constexpr (std::is_same_v<T, Bodies>)
          return to_string(v);
        else
          return list(v);
      },
      value);
}

void from_param(ParamName name, const ParamValue& value, bool& out) {
  if (auto* b = std::get_if<bool>(&value))
    out = *b;
  else if (auto* i = std::get_if<int64_t>(&value); i && (*i == 0 || *i == 1))
    out = *i == 1;
  else
    wrong(name, "a bool", value);
}

void from_param(ParamName name, const ParamValue& value, int64_t& out) {
  if (auto* i = std::get_if<int64_t>(&value))
    out = *i;
  else if (auto* s = std::get_if<Shape>(&value); s && s->size() == 1 && (*s)[0].is_constant())
    out = (*s)[0].constant();
  else
    wrong(name, "an int", value);
}

void from_param(ParamName name, const ParamValue& value, int& out) {
  int64_t wide = 0;
  from_param(name, value, wide);
  if (wide != static_cast<int>(wide)) wrong(name, "a small int", value);
  out = static_cast<int>(wide);
}

void from_param(ParamName name, const ParamValue& value, double& out) {
  if (auto* d = std::get_if<double>(&value))
    out = *d;
  else if (auto* i = std::get_if<int64_t>(&value))
    out = static_cast<double>(*i);
  else
    wrong(name, "a number", value);
}

void from_param(ParamName name, const ParamValue& value, std::string& out) {
  if (auto* s = std::get_if<std::string>(&value))
    out = *s;
  else
    wrong(name, "a str", value);
}

void from_param(ParamName name, const ParamValue& value, std::vector<int64_t>& out) {
  if (auto* v = std::get_if<std::vector<int64_t>>(&value)) {
    out = *v;
  } else if (auto* i = std::get_if<int64_t>(&value)) {
    out = {*i};
  } else if (auto* s = std::get_if<Shape>(&value)) {
    out.clear();
    for (const Dim& d : *s) {
      if (!d.is_constant()) wrong(name, "a list of known ints", value);
      out.push_back(d.constant());
    }
  } else {
    wrong(name, "a list of ints", value);
  }
}

void from_param(ParamName name, const ParamValue& value, std::vector<double>& out) {
  if (auto* v = std::get_if<std::vector<double>>(&value))
    out = *v;
  else if (auto* i = std::get_if<std::vector<int64_t>>(&value))
    out.assign(i->begin(), i->end());
  else
    wrong(name, "a list of numbers", value);
}

void from_param(ParamName name, const ParamValue& value, Shape& out) {
  if (auto* s = std::get_if<Shape>(&value))
    out = *s;
  else if (auto* v = std::get_if<std::vector<int64_t>>(&value))
    out.assign(v->begin(), v->end());
  else if (auto* i = std::get_if<int64_t>(&value))
    out = {Dim(*i)};
  else
    wrong(name, "a shape", value);
}

void from_param(ParamName name, const ParamValue& value, Bodies& out) {
  if (auto* v = std::get_if<Bodies>(&value))
    out = *v;
  else
    wrong(name, "a list of graphs", value);
}

void from_param(ParamName name, const ParamValue& value, DType& out) {
  if (auto* d = std::get_if<DType>(&value))
    out = *d;
  else if (auto* s = std::get_if<std::string>(&value))
    out = parse_dtype(*s);
  else
    wrong(name, "a dtype", value);
}

}  // namespace maas
