#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "core/dim.h"
#include "core/dtype.h"

namespace maas {

struct Graph;
// A sub-Graph as a parameter. Equal if the two compute the same by the same nodes.
struct Body {
  std::shared_ptr<const Graph> graph;
  const Graph* operator->() const { return graph.get(); }
  bool operator==(const Body& other) const;
};
using Bodies = std::vector<Body>;

// A named parameter of an op. Names and values drive binding, equality, printing and saving.
using ParamValue =
    std::variant<bool, int64_t, double, std::string, std::vector<int64_t>, std::vector<double>, Shape, DType, Bodies>;
using ParamList = std::vector<std::pair<std::string, ParamValue>>;

std::string to_string(const ParamValue& value);

// To and from the C++ types that op structs use. from_param raises TypeError naming op and parameter.
inline ParamValue to_param(bool v) { return v; }
inline ParamValue to_param(int v) { return static_cast<int64_t>(v); }
inline ParamValue to_param(int64_t v) { return v; }
inline ParamValue to_param(double v) { return v; }
inline ParamValue to_param(const std::string& v) { return v; }
inline ParamValue to_param(const std::vector<int64_t>& v) { return v; }
inline ParamValue to_param(const std::vector<double>& v) { return v; }
inline ParamValue to_param(const Shape& v) { return v; }
inline ParamValue to_param(DType v) { return v; }
inline ParamValue to_param(const Bodies& v) { return v; }

struct ParamName {
  const char* op;
  const char* param;
};
void from_param(ParamName name, const ParamValue& value, bool& out);
void from_param(ParamName name, const ParamValue& value, int& out);
void from_param(ParamName name, const ParamValue& value, int64_t& out);
void from_param(ParamName name, const ParamValue& value, double& out);
void from_param(ParamName name, const ParamValue& value, std::string& out);
void from_param(ParamName name, const ParamValue& value, std::vector<int64_t>& out);
void from_param(ParamName name, const ParamValue& value, std::vector<double>& out);
void from_param(ParamName name, const ParamValue& value, Shape& out);
void from_param(ParamName name, const ParamValue& value, DType& out);
void from_param(ParamName name, const ParamValue& value, Bodies& out);

}  // namespace maas

// MAAS_PARAMS(axis, keepdims) inside an op struct: visit_params(f) calls f("axis", axis), f("keepdims", keepdims).
#define MAAS_PARENS ()
#define MAAS_EXPAND(...) MAAS_EXPAND3(MAAS_EXPAND3(MAAS_EXPAND3(__VA_ARGS__)))
#define MAAS_EXPAND3(...) MAAS_EXPAND2(MAAS_EXPAND2(MAAS_EXPAND2(__VA_ARGS__)))
#define MAAS_EXPAND2(...) __VA_ARGS__
#define MAAS_VISIT_EACH(...) __VA_OPT__(MAAS_EXPAND(MAAS_VISIT_ONE(__VA_ARGS__)))
#define MAAS_VISIT_ONE(name, ...) \
  f(#name, name);                 \
  __VA_OPT__(MAAS_VISIT_AGAIN MAAS_PARENS(__VA_ARGS__))
#define MAAS_VISIT_AGAIN() MAAS_VISIT_ONE
#define MAAS_PARAMS(...)                            \
  template <class F>                                \
  void visit_params([[maybe_unused]] F&& f) {       \
    MAAS_VISIT_EACH(__VA_ARGS__)                    \
  }                                                 \
  template <class F>                                \
  void visit_params([[maybe_unused]] F&& f) const { \
    MAAS_VISIT_EACH(__VA_ARGS__)                    \
  }
