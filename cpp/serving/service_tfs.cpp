// Models by the paths of TensorFlow Serving, and its words for those that are not there.
#include "serving/service.h"

namespace maas::serving {

std::shared_ptr<Model> Service::find_tfs(Route route, Response& response) const {
  if (!route.bad_name && !route.label.empty()) {
    response.error(400, "Unrecognized servable version label: " + route.label);
    return nullptr;
  }
  const std::string asked = route.version;
  // Version 0 is how some clients say "the latest".
  if (route.version == "0") route.version.clear();
  auto model = find(route, response);
  if (model || route.bad_name) return model;
  if (route.id == RouteId::tfs_status) {
    response.error(404, "Could not find any versions of model " + route.model);
  } else {
    response.error(404, "Servable not found for request: " + (asked.empty() || asked == "0"
                                                                  ? "Latest(" + route.model + ")"
                                                                  : "Specific(" + route.model + ", " + asked + ")"));
  }
  return nullptr;
}

std::string Service::tfs_models(const Key* key) const {
  std::string data, names;
  for (const auto& [name, model] : models_) {
    if (key && !key->sees(name)) continue;
    if (!names.empty()) names += ',', data += ',';
    names += '"' + name + '"';
    data += "{\"id\":\"" + name + "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"maas\"}";
  }
  return "{\"object\":\"list\",\"data\":[" + data + "],\"models\":[" + names + "]}";
}

}  // namespace maas::serving
