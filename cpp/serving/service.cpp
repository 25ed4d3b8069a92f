#include "serving/service.h"

#include "core/error.h"
#include "serving/content_coding.h"
#include "serving/model_config.h"
#include "serving/model_store.h"
#include "serving/openapi.h"
#include "serving/option_range.h"
#include "serving/tfs_rest.h"

namespace maas::serving {
namespace {

void write_specs(std::string& out, const std::vector<TensorSpec>& specs) {
  out += '[';
  for (size_t i = 0; i < specs.size(); ++i) {
    out += i == 0 ? "{\"name\":" : ",{\"name\":";
    write_json_string(out, specs[i].name);
    out.append(",\"datatype\":\"").append(datatype_name(specs[i].datatype)).append("\",\"shape\":");
    write_json_shape(out, specs[i].shape);
    out += '}';
  }
  out += ']';
}

std::string metadata_of(const ModelInfo& info) {
  std::string out = "{\"name\":\"" + info.name + "\",\"versions\":[\"" + info.version + "\"],\"platform\":";
  write_json_string(out, info.platform);
  out += ",\"inputs\":";
  write_specs(out, info.inputs);
  out += ",\"outputs\":";
  write_specs(out, info.outputs);
  return out + "}";
}

bool rows_known(const ModelInfo& info) {
  if (info.inputs.size() == 1) return true;
  for (const TensorSpec& t : info.inputs) {
    for (size_t i = info.batched() ? 1 : 0; i < t.shape.size(); ++i) {
      if (t.shape[i] < 0) return false;
    }
  }
  return true;
}

// `before`: the model in whose place this one comes, null if there is none.
std::shared_ptr<Model> make_model(std::shared_ptr<Servable> servable, const BatcherOptions& options,
                                  const Model* before) {
  const ModelInfo& info = servable->info();
  if (!valid_name(info.name) || !valid_name(info.version)) {
    throw Error(ErrorKind::value,
                "model name and version must match [A-Za-z0-9_.-]{1,128} without a leading dot, received '" +
                    info.name + "' and '" + info.version + "'");
  }
  if (info.inputs.empty() || info.outputs.empty()) {
    throw Error(ErrorKind::value, "model '" + info.name + "' needs at least one input and one output");
  }
  constexpr int64_t kMany = int64_t{1} << 40, kHour = 3'600'000'000;
  check_option("max_batch_size", options.max_batch_size, 1, kMany);
  check_option("max_queue_size", options.max_queue_size, 1, kMany);
  check_option("max_queue_bytes", options.max_queue_bytes, 0, kMany);
  check_option("max_queue_delay_us", options.max_queue_delay_us, 0, kHour);
  check_option("max_batches", options.max_batches, 1, 1024);
  check_option("max_batch_bytes", options.max_batch_bytes, 1, kMany);
  check_option("instances", options.instances, 1, 64);
  check_option("priority_levels", options.priority_levels, 1, 64);
  check_option("default_priority", options.default_priority, 0, options.priority_levels);
  for (const int64_t n : options.preferred_batch_size)
    check_option("preferred_batch_size", n, 1, options.max_batch_size);
  check_option("inline_budget_ns", options.inline_budget_ns, 0, kHour);
  auto model = std::make_shared<Model>();
  model->servable = std::move(servable);
  if (before != nullptr && before->metrics->version == info.version) {
    // The counters of one version go on when it is loaded again, also for requests that the old one still answers.
    model->stats = before->stats;
    model->metrics = before->metrics;
  } else {
    model->stats = std::make_shared<ModelStats>();
    model->metrics = std::make_shared<ModelMetrics>();
    model->metrics->model = info.name;
    model->metrics->version = info.version;
  }
  model->metadata = metadata_of(info);
  model->config = config_json(info, options);
  model->batched = info.batched();
  model->rows_known = rows_known(info);
  for (size_t i = 0; i < info.inputs.size(); ++i) {
    model->images.push_back(image_input(info, i));
    model->may_wait_for_images |= model->images.back().has_value() && info.inputs.size() > 1;
  }
  model->batcher = std::make_unique<Batcher>(model->servable, options, model->metrics, model->stats);
  return model;
}

}  // namespace

void Service::add_model(std::shared_ptr<Servable> servable, const BatcherOptions& options) {
  const std::string& name = servable->info().name;
  if (models_.find(name) != models_.end()) throw Error(ErrorKind::value, "two models are named '" + name + "'");
  load_model(std::move(servable), options);
}

void Service::load_model(std::shared_ptr<Servable> servable, const BatcherOptions& options) {
  const auto start = Clock::now();
  const auto before = models_.find(servable->info().name);
  auto model = make_model(std::move(servable), options, before == models_.end() ? nullptr : before->second.get());
  // What a Python model does with zeros is its own affair.
  if (model->servable->may_run_inline()) model->batcher->warm_up();
  model->metrics->load_ns.store(std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now() - start).count());
  models_.publish(std::move(model));
}

bool Service::unload_model(const std::string& name) { return models_.withdraw(name); }

std::vector<std::string> Service::models() const {
  std::vector<std::string> names;
  for (const auto& [name, model] : models_) names.push_back(name);
  return names;
}

Service::Service(Clock::duration request_timeout, int64_t max_in_flight_per_key)
    : access(max_in_flight_per_key), request_timeout_(request_timeout) {}

Service::~Service() { stop(Clock::duration::zero()); }

std::shared_ptr<Model> Service::find(const Route& route, Response& response) const {
  const auto it = models_.find(route.model);
  if (route.bad_name) {
    response.error(404, "Request for a model or version name that is not valid");
  } else if (it == models_.end()) {
    response.error(404, "Request for unknown model: '" + route.model + "' is not found");
  } else if (!route.version.empty() && route.version != it->second->metrics->version) {
    response.error(404,
                   "Request for unknown model: '" + route.model + "' version '" + route.version + "' is not found");
  } else {
    return it->second;
  }
  return nullptr;
}

std::shared_ptr<Pending> Service::handle(const Request& request, Response& response,
                                         const std::shared_ptr<Waiter>& waiter) {
  const Route route = request.route ? *request.route : match_route(request.target);
  if (route.id == RouteId::none) {
    response.error(404, "there is no such route");
    return nullptr;
  }
  const bool get = request.method == "GET" || request.method == "HEAD";
  if (!(get && (route.methods & kGet)) && !(request.method == "POST" && (route.methods & kPost))) {
    response.error(405, "the method is not allowed here");
    response.headers = route.methods & kPost ? "Allow: POST\r\n" : "Allow: GET, HEAD\r\n";
    return nullptr;
  }
  return respond(request, route, response, waiter);
}

std::shared_ptr<Pending> Service::respond(const Request& request, const Route& route, Response& response,
                                          const std::shared_ptr<Waiter>& waiter) {
  switch (route.id) {
    case RouteId::infer:
      return infer(find(route, response), oip_rest_protocol(), request, response, waiter);
    case RouteId::tfs_predict:
      return infer(find_tfs(route, response), tfs_predict_protocol(), request, response, waiter);
    case RouteId::tfs_classify:
      return infer(find_tfs(route, response), tfs_classify_protocol(), request, response, waiter);
    case RouteId::tfs_regress:
      return infer(find_tfs(route, response), tfs_regress_protocol(), request, response, waiter);
    case RouteId::tfs_metadata:
      if (const auto model = find_tfs(route, response)) response.body = tfs_metadata_json(model->servable->info());
      return nullptr;
    case RouteId::tfs_status:
      if (const auto model = find_tfs(route, response))
        response.body = tfs_status_json(model->servable->info(), ready_);
      return nullptr;
    case RouteId::openapi:
      response.body = openapi_json();
      return nullptr;
    case RouteId::tfs_models:
      response.body = tfs_models(request.key.get());
      return nullptr;
    case RouteId::alive:
      response.body = "{\"status\":\"alive\"}";
      return nullptr;
    case RouteId::live:
      response.body = "{\"live\":true}";
      return nullptr;
    case RouteId::ready:
      response.body =
          ready_ ? "{\"ready\":true,\"live\":true}" : "{\"ready\":false,\"live\":true,\"error\":\"not ready\"}";
      if (!ready_) {
        response.status = 503;
        response.headers = "Retry-After: 1\r\n";
      }
      return nullptr;
    case RouteId::server:
      response.body = "{\"name\":\"maas\",\"version\":\"" MAAS_VERSION "\",\"extensions\":[";
      for (const char* e : kExtensions) {
        if (response.body.back() != '[') response.body += ',';
        write_json_string(response.body, e);
      }
      response.body += "]}";
      return nullptr;
    case RouteId::models: {
      response.body = "{\"models\":[";
      for (const auto& [name, model] : models_) {
        if (request.key && !request.key->sees(name)) continue;
        if (response.body.back() != '[') response.body += ',';
        write_json_string(response.body, name);
      }
      response.body += "]}";
      return nullptr;
    }
    case RouteId::metrics: {
      std::vector<const ModelMetrics*> list;
      std::vector<std::shared_ptr<const ModelMetrics>> kept;  // a model may go meanwhile
      for (const auto& [name, model] : models_) {
        model->metrics->memory_bytes.store(model->servable->memory_bytes() + model->batcher->memory_bytes(), kRelaxed);
        kept.push_back(model->metrics);
        list.push_back(kept.back().get());
      }
      response.content_type = "text/plain; version=0.0.4; charset=utf-8";
      response.body = render_metrics(http_metrics, access.failures, list);
      return nullptr;
    }
    case RouteId::all_stats:
      response.body = all_stats(request.key.get());
      return nullptr;
    case RouteId::repository_index:
    case RouteId::repository_load:
    case RouteId::repository_unload:
      return ask_store(request, route, response, waiter);
    default: {
      const auto model = find(route, response);
      if (!model) return nullptr;
      if (route.id == RouteId::model) response.body = model->metadata;
      if (route.id == RouteId::model_config) response.body = model->config;
      if (route.id == RouteId::model_stats) {
        response.body = "{\"model_stats\":[" + stats_json(model->servable->info(), *model->stats) + "]}";
      }
      if (route.id == RouteId::model_ready) {
        response.body = "{\"name\":\"" + model->metrics->model + "\",\"ready\":" + (ready_ ? "true}" : "false}");
        if (!ready_) response.status = 503;
      }
      return nullptr;
    }
  }
}

// A null model has been refused already.
std::shared_ptr<Pending> Service::infer(std::shared_ptr<Model> model, const InferProtocol& protocol,
                                        const Request& request, Response& response,
                                        const std::shared_ptr<Waiter>& waiter) {
  if (!model) return nullptr;
  if (model->batcher->is_full()) {
    // Under overload most requests end here, and must not take the cores from those that are run.
    response.error(429, "the queue of model '" + model->metrics->model + "' is full");
    response.headers = "Retry-After: 1\r\n";
    auto& requests = model->metrics->requests[static_cast<size_t>(protocol.transport())];
    requests[static_cast<size_t>(Outcome::rejected)].fetch_add(1, kRelaxed);
    model->stats->fail.add(Clock::now() - request.arrived);
    return nullptr;
  }
  auto infer = std::make_shared<InferRequest>(model, waiter, protocol);
  if (!infer->read(request, request_timeout_, response)) return nullptr;
  if (infer->has_images()) return decode(std::move(infer), response);
  const auto how = infer->submit(waiter->has_rounds());
  if (how == Batcher::Submitted::ended) {
    infer->answer(response);
    return nullptr;
  }
  if (how == Batcher::Submitted::deferred) waiter->run_soon(model);
  if (how == Batcher::Submitted::full) model->batcher->run_deferred();
  return infer;
}

// Its images are decoded elsewhere, and then it is submitted.
std::shared_ptr<Pending> Service::decode(std::shared_ptr<InferRequest> infer, Response& response) {
  if (!images_) {
    response.error(501, "this server decodes no images");
    infer->refuse_images(Outcome::invalid);
    return nullptr;
  }
  const auto admission = images_->add(infer);
  if (admission == Batcher::Admission::ok) return infer;
  if (admission == Batcher::Admission::stopping) {
    response.error(503, "the server is shutting down");
  } else {
    response.error(429, "too many images wait to be decoded");
  }
  response.headers = "Retry-After: 1\r\n";
  infer->refuse_images(Outcome::rejected);
  return nullptr;
}

void Service::set_image_decoder(std::shared_ptr<ImageDecoder> decoder) {
  images_ = std::make_unique<ImageQueue>(std::move(decoder));
}

void Service::expire(Clock::time_point now) {
  for (const auto& [name, model] : models_) {
    if (model->batcher->has_waiting()) model->batcher->expire(now);
  }
}

void Service::stop(Clock::duration drain) {
  if (store_index_) store_index_->stop();
  if (store_) store_->stop();
  if (images_) images_->stop();
  models_.stop(drain);
}

}  // namespace maas::serving
