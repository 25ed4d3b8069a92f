// The routes that ask for more than one model: statistics of all, and the repository.
#include "core/error.h"
#include "serving/content_coding.h"
#include "serving/model_store.h"
#include "serving/service.h"

namespace maas::serving {

void Service::set_store(std::shared_ptr<ModelStore> store, bool may_change) {
  store_ = store ? std::make_unique<StoreQueue>(std::move(store)) : nullptr;
  store_may_change_ = may_change;
}

std::string Service::all_stats(const Key* key) const {
  std::string out = "{\"model_stats\":[";
  for (const auto& [name, model] : models_) {
    if (key && !key->sees(name)) continue;
    if (out.back() != '[') out += ',';
    out += stats_json(model->servable->info(), *model->stats);
  }
  return out + "]}";
}

std::shared_ptr<Pending> Service::ask_store(const Request& request, const Route& route, Response& response,
                                            const std::shared_ptr<Waiter>& waiter) {
  const bool index = route.id == RouteId::repository_index;
  if (!index && !(store_ && store_may_change_)) {
    response.error(403, "clients load and unload models only where the server has a model store that may change");
    return nullptr;
  }
  if (!index && route.bad_name) {
    response.error(404, "Request for a model or version name that is not valid");
    return nullptr;
  }
  const PlainBody plain(request);
  if (plain.status != 0) {
    response.error(plain.status, plain.problem);
    return nullptr;
  }
  try {
    if (index) {
      const bool ready_only = index_ready_only(plain.body);
      if (store_) return store_->ask(StoreQueue::Act::index, "", "", ready_only, request.key, waiter, response);
      std::vector<StoredModel> models;
      for (const auto& [name, model] : models_) {
        models.push_back({name, model->metrics->version, ready_ ? "READY" : "UNAVAILABLE", ""});
      }
      response.body = index_json(models, ready_only, request.key.get());
      return nullptr;
    }
    const bool load = route.id == RouteId::repository_load;
    return store_->ask(load ? StoreQueue::Act::load : StoreQueue::Act::unload, route.model,
                       repository_parameters(plain.body), false, request.key, waiter, response);
  } catch (const Error& e) {
    response.error(400, e.what());
    return nullptr;
  }
}

}  // namespace maas::serving
