#include <algorithm>
#include <iterator>
#include <string_view>
#include <unordered_map>

#include "core/error.h"
#include "graph/lowered.h"
#include "graph/op.h"
#include "graph/passes/passes.h"

namespace maas {

#define MAAS_OP(name) const OpInfo& name##_op_info();
#define MAAS_OP_GROUP(name) std::vector<const OpInfo*> name##_op_infos();
#define MAAS_REWRITE(name) Graph name(const Graph& graph);
#include "ops/ops.inc"
#undef MAAS_OP
#undef MAAS_OP_GROUP
#undef MAAS_REWRITE

const std::vector<const OpInfo*>& all_ops() {
  static const std::vector<const OpInfo*> list = [] {
    std::vector<const OpInfo*> ops;
#define MAAS_OP(name) ops.push_back(&name##_op_info());
#define MAAS_OP_GROUP(name) \
  for (const OpInfo* info : name##_op_infos()) ops.push_back(info);
#define MAAS_REWRITE(name)
#include "ops/ops.inc"
#undef MAAS_OP
#undef MAAS_OP_GROUP
#undef MAAS_REWRITE
    return ops;
  }();
  return list;
}

// They read panels, whose layout no shape tells.
bool is_lowered(const std::string& op) {
  static constexpr std::string_view kNames[] = {
      "gemm_pack",   "gemm",      "gemm_batched",   "conv_pack",  "conv_packed",
      "conv_direct", "depthwise", "recurrent_pack", "recurrence", "recurrence_gradient"};
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

const std::vector<passes::GraphPass>& passes::family_rewrites() {
  static const std::vector<GraphPass> list{
#define MAAS_OP(name)
#define MAAS_OP_GROUP(name)
#define MAAS_REWRITE(name) &name,
#include "ops/ops.inc"
#undef MAAS_OP
#undef MAAS_OP_GROUP
#undef MAAS_REWRITE
  };
  return list;
}

}  // namespace maas
