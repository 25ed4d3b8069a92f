// URL paths to routes, to who may and to the listeners that have them. One table: authorisation and tests walk the
// same.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/export.h"

namespace maas::serving {

#define MAAS_ROUTE_IDS(X) \
  X(none)                 \
  X(alive)                \
  X(server)               \
  X(live)                 \
  X(ready)                \
  X(models)               \
  X(model)                \
  X(model_ready)          \
  X(infer)                \
  X(metrics)              \
  X(model_config)         \
  X(model_stats)          \
  X(all_stats)            \
  X(repository_index)     \
  X(repository_load)      \
  X(repository_unload)    \
  X(tfs_models)           \
  X(tfs_status)           \
  X(tfs_metadata) X(tfs_predict) X(tfs_classify) X(tfs_regress) X(openapi) X(keys_list) X(keys_add) X(keys_revoke)

enum class RouteId : uint8_t {
#define MAAS_ROUTE_ID(name) name,
  MAAS_ROUTE_IDS(MAAS_ROUTE_ID)
#undef MAAS_ROUTE_ID
};
enum Method : uint8_t { kGet = 1, kPost = 2, kDelete = 4 };

// A set of scopes. What a route takes is the set of those that open it; the empty set is open to everybody.
using Scopes = uint8_t;
inline constexpr Scopes kInfer = 1, kRead = 2, kManage = 4, kAdmin = 8;
inline constexpr Scopes kOpen = 0, kAnyKey = kInfer | kRead | kManage | kAdmin, kAsks = kInfer | kAdmin,
                        kSees = kRead | kManage | kAdmin, kChanges = kManage | kAdmin;

enum Plane : uint8_t { kData = 1, kManagement = 2, kBoth = kData | kManagement };

struct RouteRow {
  RouteId id;
  const char* pattern;  // {m} model name, {v} version, {l} label, {k} key; a verb after ":" has no case
  uint8_t methods;
  Scopes scopes;             // what opens it, the same in every row of an id
  uint8_t planes;            // which listeners have it
  bool every_model = false;  // it tells of all models, so the key must see all
};

inline constexpr std::array kRoutes = {
    RouteRow{RouteId::infer, "/v2/models/{m}/infer", kPost, kAsks, kData},
    RouteRow{RouteId::infer, "/v2/models/{m}/versions/{v}/infer", kPost, kAsks, kData},
    RouteRow{RouteId::model_ready, "/v2/models/{m}/ready", kGet, kAnyKey, kBoth},
    RouteRow{RouteId::model_ready, "/v2/models/{m}/versions/{v}/ready", kGet, kAnyKey, kData},
    RouteRow{RouteId::all_stats, "/v2/models/stats", kGet, kSees, kBoth},
    RouteRow{RouteId::model, "/v2/models/{m}", kGet, kAnyKey, kBoth},
    RouteRow{RouteId::model, "/v2/models/{m}/versions/{v}", kGet, kAnyKey, kData},
    RouteRow{RouteId::model_config, "/v2/models/{m}/config", kGet, kAnyKey, kBoth},
    RouteRow{RouteId::model_config, "/v2/models/{m}/versions/{v}/config", kGet, kAnyKey, kData},
    RouteRow{RouteId::model_stats, "/v2/models/{m}/stats", kGet, kSees, kBoth},
    RouteRow{RouteId::model_stats, "/v2/models/{m}/versions/{v}/stats", kGet, kSees, kData},
    RouteRow{RouteId::models, "/v2/models", kGet, kAnyKey, kBoth},
    RouteRow{RouteId::live, "/v2/health/live", kGet, kOpen, kBoth},
    RouteRow{RouteId::ready, "/v2/health/ready", kGet, kOpen, kBoth},
    RouteRow{RouteId::server, "/v2", kGet, kAnyKey, kBoth},
    RouteRow{RouteId::server, "/v2/", kGet, kAnyKey, kData},
    RouteRow{RouteId::metrics, "/metrics", kGet, kSees, kBoth, true},
    RouteRow{RouteId::alive, "/", kGet, kOpen, kData},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}:predict", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}/versions/{v}:predict", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}/labels/{l}:predict", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}:classify", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}/versions/{v}:classify", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}/labels/{l}:classify", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}:regress", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}/versions/{v}:regress", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}/labels/{l}:regress", kPost, kAsks, kData},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/metadata", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/versions/{v}/metadata", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/labels/{l}/metadata", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}/versions/{v}", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}/labels/{l}", kGet, kAnyKey, kData},
    RouteRow{RouteId::tfs_models, "/v1/models", kGet, kAnyKey, kData},
    RouteRow{RouteId::openapi, "/openapi.json", kGet, kAnyKey, kData},
    RouteRow{RouteId::repository_index, "/v2/repository/index", kPost, kAnyKey, kBoth},
    RouteRow{RouteId::repository_load, "/v2/repository/models/{m}/load", kPost, kChanges, kBoth},
    RouteRow{RouteId::repository_unload, "/v2/repository/models/{m}/unload", kPost, kChanges, kBoth},
    RouteRow{RouteId::keys_list, "/manage/keys", kGet, kAdmin, kManagement, true},
    RouteRow{RouteId::keys_add, "/manage/keys", kPost, kAdmin, kManagement, true},
    RouteRow{RouteId::keys_revoke, "/manage/keys/{k}", kDelete, kAdmin, kManagement, true},
};

struct Route {
  RouteId id = RouteId::none;
  uint8_t methods = 0;
  const char* pattern = nullptr;  // of the row that matched
  std::string model, version, label;
  bool bad_name = false;  // the path matches, but a name is not valid_name
};

// `target` is the request target: path and optional query. Percent signs are decoded once, in names only, so a
// path has exactly one spelling.
Route match_route(std::string_view target);

// The row that says who may: the first of this id, or one for admins alone if no table has it.
MAAS_API const RouteRow& row_of(RouteId id);
MAAS_API const char* route_name(RouteId id);
MAAS_API RouteId find_route(std::string_view name);  // none: there is no such route

// Of models, versions, labels and keys, wherever they come from: [A-Za-z0-9_.-]{1,128}, not led by "." or "-", and no
// name that means a device elsewhere, so that a folder of models can be copied anywhere.
MAAS_API bool valid_name(std::string_view name);

}  // namespace maas::serving
