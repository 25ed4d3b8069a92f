#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

#include "core/error.h"
#include "graph/lowered.h"
#include "graph/op.h"
#include "graph/passes/layout.h"
#include "graph/passes/passes.h"
#include "graph/passes/rows.h"

namespace maas {

// Every kind of line of ops.inc is empty but where it is wanted.
#define MAAS_OP(name)
#define MAAS_OP_GROUP(name)
#define MAAS_RECOGNIZE(name) Graph name(const Graph& graph);
#define MAAS_REWRITE(name) Graph name(const Graph& graph);
#define MAAS_JOIN(name) Graph name(const Graph& graph);
#define MAAS_MOVES(op)
#define MAAS_AXES(op, rule) std::optional<passes::Reordered> rule(const Node& y, const passes::Axes& p);
#define MAAS_ROWS(op, rule) bool rule(const Node& y, const std::vector<bool>& rowed);
#include "ops/ops.inc"
#undef MAAS_AXES
#define MAAS_AXES(op, rule)
#undef MAAS_ROWS
#define MAAS_ROWS(op, rule)
#undef MAAS_JOIN
#define MAAS_JOIN(name)

const std::vector<passes::GraphPass>& passes::recognitions() {
  static const std::vector<GraphPass> list{
#undef MAAS_RECOGNIZE
#undef MAAS_REWRITE
#define MAAS_RECOGNIZE(name) &name,
#define MAAS_REWRITE(name)
#include "ops/ops.inc"
  };
  return list;
}

const std::vector<passes::GraphPass>& passes::family_rewrites() {
  static const std::vector<GraphPass> list{
#undef MAAS_RECOGNIZE
#undef MAAS_REWRITE
#define MAAS_RECOGNIZE(name)
#define MAAS_REWRITE(name) &name,
#include "ops/ops.inc"
  };
  return list;
}

#undef MAAS_REWRITE
#define MAAS_REWRITE(name)

const std::vector<passes::GraphPass>& passes::joins() {
  static const std::vector<GraphPass> list{
#undef MAAS_JOIN
#define MAAS_JOIN(name) &name,
#include "ops/ops.inc"
  };
  return list;
}

#undef MAAS_JOIN
#define MAAS_JOIN(name)

passes::AxesRule passes::axes_rule(const std::string& op) {
  static const auto* rules = new std::unordered_map<std::string, AxesRule>{
#undef MAAS_AXES
#define MAAS_AXES(op, rule) {#op, &rule},
#include "ops/ops.inc"
  };
  auto it = rules->find(op);
  return it == rules->end() ? nullptr : it->second;
}

#undef MAAS_AXES
#define MAAS_AXES(op, rule)

passes::RowsRule passes::rows_rule(const std::string& op) {
  static const auto* rules = new std::unordered_map<std::string, RowsRule>{
#undef MAAS_ROWS
#define MAAS_ROWS(op, rule) {#op, &rule},
#include "ops/ops.inc"
  };
  auto it = rules->find(op);
  return it == rules->end() ? nullptr : it->second;
}

#undef MAAS_ROWS
#define MAAS_ROWS(op, rule)

bool passes::moves(const std::string& op) {
  static const auto* names = new std::unordered_set<std::string>{
#undef MAAS_MOVES
#define MAAS_MOVES(op) #op,
#include "ops/ops.inc"
  };
  return names->count(op) > 0;
}

#undef MAAS_MOVES
#define MAAS_MOVES(op)
#undef MAAS_OP
#undef MAAS_OP_GROUP
#define MAAS_OP(name) const OpInfo& name##_op_info();
#define MAAS_OP_GROUP(name) std::vector<const OpInfo*> name##_op_infos();
#include "ops/ops.inc"
#undef MAAS_OP
#undef MAAS_OP_GROUP

const std::vector<const OpInfo*>& all_ops() {
  static const std::vector<const OpInfo*> list = [] {
    std::vector<const OpInfo*> ops;
#define MAAS_OP(name) ops.push_back(&name##_op_info());
#define MAAS_OP_GROUP(name) \
  for (const OpInfo* info : name##_op_infos()) ops.push_back(info);
#include "ops/ops.inc"
#undef MAAS_OP
#undef MAAS_OP_GROUP
    return ops;
  }();
  return list;
}

// They read panels, whose layout no shape tells.
bool is_lowered(const std::string& op) {
  static constexpr std::string_view kNames[] = {
      "gemm_pack",          "gemm",          "gemm_batched", "conv_pack",        "conv_packed",    "conv_direct",
      "conv_winograd_pack", "conv_winograd", "depthwise",    "expand_depthwise", "recurrent_pack", "recurrence",
      "recurrence_gradient"};
  return std::find(std::begin(kNames), std::end(kNames), op) != std::end(kNames);
}

const OpInfo* find_op(const std::string& name) {
  static const auto* index = [] {
    auto* map = new std::unordered_map<std::string, const OpInfo*>();
    for (const OpInfo* info : all_ops()) (*map)[info->name] = info;
    return map;
  }();
  auto it = index->find(name);
  return it == index->end() ? nullptr : it->second;
}

}  // namespace maas
