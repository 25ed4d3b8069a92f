// The routes that ask for more than one model: statistics of all, and the repository.
#include "core/error.h"
#include "serving/content_coding.h"
#include "serving/model_store.h"
#include "serving/service.h"
#include "serving/thread_waiter.h"

namespace maas::serving {

void Service::set_store(std::shared_ptr<ModelStore> store, bool may_change) {
  store_index_ = store ? std::make_unique<StoreQueue>(store) : nullptr;
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

std::string Service::index_of_models(bool ready_only, const Key* key) const {
  std::vector<StoredModel> models;
  for (const auto& [name, model] : models_) {
    models.push_back({name, model->metrics->version, ready_ ? "READY" : "UNAVAILABLE", ""});
  }
  return index_json(models, ready_only, key);
}

std::shared_ptr<Pending> Service::ask_store(const Request& request, const Route& route, Response& response,
                                            const std::shared_ptr<Waiter>& waiter, Plane plane) {
  const bool index = route.id == RouteId::repository_index;
  if (!index && !(store_ && (store_may_change_ || plane == kManagement))) {
    response.error(403, "clients load and unload models only where the server has a model store that may change");
    return nullptr;
  }
  if (!index && route.bad_name) {
    response.error(404, "Request for a model or version name that is not valid");
    return nullptr;
  }
  if (request.body.size() > kMaxStoreBody) {
    response.error(413, "the body of a request to the repository is too large");
    return nullptr;
  }
  if (store_) {
    const auto act = index                                  ? StoreQueue::Act::index
                     : route.id == RouteId::repository_load ? StoreQueue::Act::load
                                                            : StoreQueue::Act::unload;
    return (index ? store_index_ : store_)->ask(act, route.model, request, waiter, response);
  }
  const PlainBody plain(request);
  if (plain.status != 0) {
    response.error(plain.status, plain.problem);
    return nullptr;
  }
  try {
    response.body = index_of_models(index_ready_only(plain.body), request.key.get());
  } catch (const Error& e) {
    response.error(400, e.what());
  }
  return nullptr;
}

void Service::manage(const Route& route, std::string_view body, const std::shared_ptr<const Key>& key,
                     Response& response) {
  Request request;
  request.body = body;
  request.key = key;
  request.arrived = Clock::now();
  const bool store = route.id == RouteId::repository_index || route.id == RouteId::repository_load ||
                     route.id == RouteId::repository_unload;
  const auto asker = std::make_shared<ThreadWaiter>();
  const auto pending =
      store ? ask_store(request, route, response, asker, kManagement) : respond(request, route, response, asker);
  if (pending) asker->take()->answer(response);
}

}  // namespace maas::serving
