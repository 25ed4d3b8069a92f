// URL paths to routes. One table; authorisation and tests walk the same one.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

namespace maas::serving {

enum class RouteId : uint8_t {
  none,
  alive,
  server,
  live,
  ready,
  models,
  model,
  model_ready,
  infer,
  metrics,
  model_config,
  model_stats,
  all_stats,
  repository_index,
  repository_load,
  repository_unload,
  tfs_models,
  tfs_status,
  tfs_metadata,
  tfs_predict,
  tfs_classify,
  tfs_regress,
  openapi
};
enum Method : uint8_t { kGet = 1, kPost = 2 };

struct RouteRow {
  RouteId id;
  const char* pattern;  // {m} model name, {v} version, {l} label; a verb after ":" has no case
  uint8_t methods;
};

inline constexpr std::array kRoutes = {
    RouteRow{RouteId::infer, "/v2/models/{m}/infer", kPost},
    RouteRow{RouteId::infer, "/v2/models/{m}/versions/{v}/infer", kPost},
    RouteRow{RouteId::model_ready, "/v2/models/{m}/ready", kGet},
    RouteRow{RouteId::model_ready, "/v2/models/{m}/versions/{v}/ready", kGet},
    RouteRow{RouteId::all_stats, "/v2/models/stats", kGet},
    RouteRow{RouteId::model, "/v2/models/{m}", kGet},
    RouteRow{RouteId::model, "/v2/models/{m}/versions/{v}", kGet},
    RouteRow{RouteId::model_config, "/v2/models/{m}/config", kGet},
    RouteRow{RouteId::model_config, "/v2/models/{m}/versions/{v}/config", kGet},
    RouteRow{RouteId::model_stats, "/v2/models/{m}/stats", kGet},
    RouteRow{RouteId::model_stats, "/v2/models/{m}/versions/{v}/stats", kGet},
    RouteRow{RouteId::models, "/v2/models", kGet},
    RouteRow{RouteId::live, "/v2/health/live", kGet},
    RouteRow{RouteId::ready, "/v2/health/ready", kGet},
    RouteRow{RouteId::server, "/v2", kGet},
    RouteRow{RouteId::server, "/v2/", kGet},
    RouteRow{RouteId::metrics, "/metrics", kGet},
    RouteRow{RouteId::alive, "/", kGet},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}:predict", kPost},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}/versions/{v}:predict", kPost},
    RouteRow{RouteId::tfs_predict, "/v1/models/{m}/labels/{l}:predict", kPost},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}:classify", kPost},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}/versions/{v}:classify", kPost},
    RouteRow{RouteId::tfs_classify, "/v1/models/{m}/labels/{l}:classify", kPost},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}:regress", kPost},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}/versions/{v}:regress", kPost},
    RouteRow{RouteId::tfs_regress, "/v1/models/{m}/labels/{l}:regress", kPost},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/metadata", kGet},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/versions/{v}/metadata", kGet},
    RouteRow{RouteId::tfs_metadata, "/v1/models/{m}/labels/{l}/metadata", kGet},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}", kGet},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}/versions/{v}", kGet},
    RouteRow{RouteId::tfs_status, "/v1/models/{m}/labels/{l}", kGet},
    RouteRow{RouteId::tfs_models, "/v1/models", kGet},
    RouteRow{RouteId::openapi, "/openapi.json", kGet},
    RouteRow{RouteId::repository_index, "/v2/repository/index", kPost},
    RouteRow{RouteId::repository_load, "/v2/repository/models/{m}/load", kPost},
    RouteRow{RouteId::repository_unload, "/v2/repository/models/{m}/unload", kPost},
};

struct Route {
  RouteId id = RouteId::none;
  uint8_t methods = 0;
  const char* pattern = nullptr;  // of the row that matched
  std::string model, version, label;
  bool bad_name = false;  // the path matches, but a name is not [A-Za-z0-9_.-]{1,128}
};

// `target` is the request target: path and optional query. Percent signs are decoded once, in names only, so a
// path has exactly one spelling.
Route match_route(std::string_view target);

bool valid_name(std::string_view name);

}  // namespace maas::serving
