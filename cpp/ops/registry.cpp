#include <unordered_map>

#include "core/error.h"
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
