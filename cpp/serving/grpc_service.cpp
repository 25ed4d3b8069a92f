#include "serving/grpc_service.h"

#include "core/error.h"
#include "core/json.h"
#include "serving/base64.h"
#include "serving/model_config.h"
#include "serving/model_store.h"
#include "serving/proto_wire.h"
#include "serving/thread_waiter.h"

namespace maas::serving {
namespace {

using wire::Reader;
using wire::Type;

constexpr std::string_view kServiceName = "inference.GRPCInferenceService";

}  // namespace

struct GrpcMethod {
  const char* name;
  RouteId route;  // the REST route of the same meaning: it says who may
  uint32_t name_field, version_field;
};

namespace {

constexpr GrpcMethod kMethods[] = {{"ServerLive", RouteId::live, 0, 0},
                                   {"ServerReady", RouteId::ready, 0, 0},
                                   {"HealthCheck", RouteId::ready, 0, 0},
                                   {"ServerMetadata", RouteId::server, 0, 0},
                                   {"ModelReady", RouteId::model_ready, 1, 2},
                                   {"ModelMetadata", RouteId::model, 1, 2},
                                   {"ModelConfig", RouteId::model_config, 1, 2},
                                   {"ModelStatistics", RouteId::model_stats, 1, 2},
                                   {"ModelInfer", RouteId::infer, 1, 2},
                                   {"RepositoryIndex", RouteId::repository_index, 0, 0},
                                   {"RepositoryModelLoad", RouteId::repository_load, 2, 0},
                                   {"RepositoryModelUnload", RouteId::repository_unload, 2, 0}};

constexpr std::string_view kStream = "ModelStreamInfer";

const GrpcMethod* find_method(std::string_view name) {
  for (const GrpcMethod& m : kMethods) {
    if (m.name == (name == kStream ? "ModelInfer" : name)) return &m;
  }
  return nullptr;
}

GrpcCode code_of(int status) {
  switch (status) {
    case 400:
    case 415:
      return GrpcCode::invalid_argument;
    case 401:
      return GrpcCode::unauthenticated;
    case 403:
      return GrpcCode::permission_denied;
    case 404:
      return GrpcCode::not_found;
    case 413:
    case 429:
      return GrpcCode::resource_exhausted;
    case 501:
      return GrpcCode::unimplemented;
    case 503:
      return GrpcCode::unavailable;
    case 504:
      return GrpcCode::deadline_exceeded;
    default:
      return GrpcCode::internal;
  }
}

void put_duration(std::string& out, uint32_t field, uint64_t count, uint64_t ns) {
  std::string d;
  wire::put_number(d, 1, count);
  wire::put_number(d, 2, ns);
  wire::put_bytes(out, field, d);
}
void put_duration(std::string& out, uint32_t field, const Duration& d) {
  put_duration(out, field, d.count.load(), d.ns.load());
}

std::string statistics_message(const ModelInfo& info, const ModelStats& s) {
  std::string out, inner;
  wire::put_text(out, 1, info.name);
  wire::put_text(out, 2, info.version);
  wire::put_number(out, 3, static_cast<uint64_t>(s.last_ms.load()));
  wire::put_number(out, 4, s.rows.load());
  wire::put_number(out, 5, s.run.count.load());
  uint32_t field = 0;
  for (const Duration* d : {&s.success, &s.fail, &s.queue, &s.read, &s.run, &s.write}) put_duration(inner, ++field, *d);
  wire::put_bytes(out, 6, inner);
  for (const auto& [rows, runs] : s.batches()) {
    std::string batch;
    wire::put_number(batch, 1, static_cast<uint64_t>(rows));
    put_duration(batch, 2, runs.count, 0);
    put_duration(batch, 3, runs.count, runs.ns);
    put_duration(batch, 4, runs.count, 0);
    wire::put_bytes(out, 7, batch);
  }
  return out;
}

std::string metadata_message(const ModelInfo& info) {
  std::string out;
  wire::put_text(out, 1, info.name);
  wire::put_text(out, 2, info.version);
  wire::put_text(out, 3, info.platform);
  uint32_t field = 4;
  for (const auto* list : {&info.inputs, &info.outputs}) {
    for (const TensorSpec& t : *list) {
      std::string tensor;
      wire::put_text(tensor, 1, t.name);
      wire::put_text(tensor, 2, datatype_name(t.datatype));
      wire::put_packed(tensor, 3, t.shape);
      wire::put_bytes(out, field, tensor);
    }
    ++field;
  }
  return out;
}

std::string config_message(const ModelInfo& info, const BatcherOptions& options) {
  const bool batched = info.batched();
  std::string out;
  wire::put_text(out, 1, info.name);
  wire::put_text(out, 2, info.platform);
  wire::put_number(out, 4, batched ? static_cast<uint64_t>(options.max_batch_size) : 0);
  for (const bool input : {true, false}) {
    for (const TensorSpec& t : input ? info.inputs : info.outputs) {
      std::string tensor;
      wire::put_text(tensor, 1, t.name);
      wire::put_number(tensor, 2, static_cast<uint64_t>(config_type_number(t.datatype)));
      wire::put_packed(tensor, input ? 4 : 3, Shape(t.shape.begin() + (batched ? 1 : 0), t.shape.end()));
      wire::put_bytes(out, input ? 5 : 6, tensor);
    }
  }
  if (batched) {
    std::string batching;
    wire::put_number(batching, 2, static_cast<uint64_t>(options.max_queue_delay_us));
    wire::put_bytes(out, 11, batching);
  }
  wire::put_text(out, 17, "maas");
  return out;
}

// The body of the REST request of the same meaning.
std::string repository_body(std::string_view message, bool index) {
  std::string out = index ? "{" : "{\"parameters\":{";
  for (Reader r(message); r.next();) {
    if (index && r.is(2, Type::varint)) out = r.number != 0 ? "{\"ready\":true" : "{\"ready\":false";
    if (index || !r.is(3, Type::bytes)) continue;
    std::string key, value;
    for (Reader entry(r.text); entry.next();) {
      if (entry.is(1, Type::bytes)) key = std::string(entry.text);
      if (!entry.is(2, Type::bytes)) continue;
      for (Reader v(entry.text); v.next();) {
        if (v.is(1, Type::varint)) value = v.number != 0 ? "true" : "false";
        if (v.is(2, Type::varint)) value = std::to_string(static_cast<int64_t>(v.number));
        if (v.is(3, Type::bytes)) json::write_string(value = {}, v.text);
        if (v.is(4, Type::bytes)) {
          value = "\"";
          append_base64(value, v.text);
          value += '"';
        }
      }
    }
    if (out.back() != '{') out += ',';
    json::write_string(out, key);
    out += ':' + (value.empty() ? "false" : value);
  }
  return out + (index ? "}" : "}}");
}

std::string index_message(std::string_view text) {
  std::string out;
  const json::Value v = json::parse(text);
  for (const json::Value& model : *v.get<json::List>()) {
    std::string row;
    uint32_t field = 0;
    for (const char* key : {"name", "version", "state", "reason"}) {
      wire::put_text(row, ++field, *model.find(key)->get<std::string>());
    }
    wire::put_bytes(out, 1, row);
  }
  return out;
}

std::string flag(bool yes) {
  std::string out;
  wire::put_number(out, 1, yes ? 1 : 0);
  return out;
}

}  // namespace

// Fills `response.body` with the answer's bytes, or refuses.
void Service::answer(const GrpcCall& call, Response& response) {
  const Route& route = call.route;
  Request request;
  request.arrived = Clock::now();
  request.key = call.key;
  request.body = call.message;
  const auto waiter = std::make_shared<ThreadWaiter>();
  std::shared_ptr<Pending> pending;
  auto deadline = request.arrived + call.time_limit;
  std::string body;
  switch (route.id) {
    case RouteId::live:
      response.body = flag(true);
      return;
    case RouteId::ready:
      response.body = flag(ready_);
      return;
    case RouteId::server:
      wire::put_text(response.body, 1, "maas");
      wire::put_text(response.body, 2, MAAS_VERSION);
      for (const char* e : kExtensions) wire::put_text(response.body, 3, e);
      return;
    case RouteId::infer: {
      auto model = find(route, response);
      if (!model) return;
      auto infer = std::make_shared<InferRequest>(std::move(model), waiter, grpc_protocol());
      if (!infer->read(request, call.time_limit, response)) return;
      deadline = infer->deadline;
      if (infer->has_images()) {
        pending = decode(std::move(infer), response);
        break;
      }
      if (infer->submit() == Batcher::Submitted::ended) return infer->answer(response);
      pending = std::move(infer);
      break;
    }
    case RouteId::repository_index:
    case RouteId::repository_load:
    case RouteId::repository_unload:
      body = repository_body(call.message, route.id == RouteId::repository_index);
      request.body = body;
      pending = ask_store(request, route, response, waiter);
      break;
    case RouteId::all_stats:
      for (const auto& [name, model] : models_) {
        if (call.key && !call.key->sees(name)) continue;
        wire::put_bytes(response.body, 1, statistics_message(model->servable->info(), *model->stats));
      }
      return;
    default: {
      const auto model = find(route, response);
      if (!model) return;
      const ModelInfo& info = model->servable->info();
      if (route.id == RouteId::model_ready) response.body = flag(ready_);
      if (route.id == RouteId::model) response.body = metadata_message(info);
      if (route.id == RouteId::model_stats) wire::put_bytes(response.body, 1, statistics_message(info, *model->stats));
      if (route.id == RouteId::model_config) {
        wire::put_bytes(response.body, 1, config_message(info, model->batcher->options()));
      }
      return;
    }
  }
  if (pending) {
    auto done = waiter->take(deadline);
    // A request that waits is ended here; one that runs may end a little late.
    if (!done) {
      expire(Clock::now());
      done = waiter->take(deadline + std::chrono::milliseconds(250));
    }
    if (!done) return response.error(504, "the request took longer than its timeout");
    done->answer(response);
  }
  if (response.status == 200 && route.id == RouteId::repository_index) response.body = index_message(response.body);
  if (response.status == 200 && (route.id == RouteId::repository_load || route.id == RouteId::repository_unload)) {
    response.body.clear();
  }
}

void Service::log_grpc(const GrpcMethod& row, const GrpcClient& client, AccessRecord&& record) {
  if (!access_log) return;
  record.transport = Transport::grpc;
  record.route = row.name;
  record.peer = std::make_shared<const std::string>(client.peer);
  access_log->add(std::move(record));
}

GrpcAnswer Service::grpc_admits(std::string_view method, const GrpcClient& client) {
  const GrpcMethod* row = find_method(method);
  if (row == nullptr) return {GrpcCode::unimplemented, "there is no such method", "", ""};
  const auto arrived = Clock::now();
  const Decision decision = access.admits(row->route, client.authorization);
  if (decision.status == 200) return {};
  AccessRecord record;
  record.time = std::chrono::system_clock::now();
  record.id = new_span_id();
  record.trace = read_traceparent(client.traceparent);
  record.status = decision.status;
  record.total = Clock::now() - arrived;
  log_grpc(*row, client, std::move(record));
  return {code_of(decision.status), decision.text, "", ""};
}

GrpcAnswer Service::grpc(std::string_view method, std::string_view message, const GrpcClient& client) {
  const bool stream = method == kStream;
  const GrpcMethod* row = find_method(method);
  if (row == nullptr) return {GrpcCode::unimplemented, "there is no such method", "", ""};
  const auto arrived = Clock::now();
  const double seconds = client.seconds;
  AccessRecord record;
  record.id = new_span_id();
  record.trace = read_traceparent(client.traceparent);
  const std::string trace = record.trace.given() ? traceresponse(record.trace, record.id) : std::string();
  Response response;
  try {
    GrpcCall call;
    call.message = message;
    call.route.id = row->route;
    std::string health;
    for (Reader r(message); r.next();) {
      if (r.type != Type::bytes) continue;
      if (row->name_field != 0 && r.field == row->name_field) call.route.model = std::string(r.text);
      if (row->version_field != 0 && r.field == row->version_field) call.route.version = std::string(r.text);
      if (method == "HealthCheck" && r.field == 1) health = std::string(r.text);
    }
    if (row->route == RouteId::model_stats && call.route.model.empty()) call.route.id = RouteId::all_stats;
    call.route.bad_name =
        row->name_field != 0 && call.route.id != RouteId::all_stats &&
        (!valid_name(call.route.model) || (!call.route.version.empty() && !valid_name(call.route.version)));
    call.time_limit = request_timeout_;
    // Compared as seconds first: what a client says must not overflow the clock.
    if (seconds > 0 && seconds < std::chrono::duration<double>(request_timeout_).count()) {
      call.time_limit = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
    }
    const Decision decision = access.authorise(call.route, client.authorization);
    record.key = decision.key;
    record.model = call.route.model;
    call.key = decision.key;
    if (decision.status != 200) {
      response.error(decision.status, decision.text);
    } else if (method == "HealthCheck") {
      if (!health.empty() && health != kServiceName) {
        response.error(404, "there is no such service");
      } else {
        wire::put_number(response.body, 1, ready_ ? 1 : 2);
      }
    } else {
      answer(call, response);
    }
  } catch (const Error& e) {
    response.error(400, e.what());
  } catch (...) {
    response.error(500, "internal error");
  }
  record.time = std::chrono::system_clock::now();
  record.status = response.status;
  record.bytes_in = message.size();
  record.bytes_out = response.status == 200 ? response.body.size() : 0;
  record.queue_ns = response.queue_ns;
  record.compute_ns = response.compute_ns;
  record.total = Clock::now() - arrived;
  log_grpc(*row, client, std::move(record));
  if (response.status == 200) {
    if (!stream) return {GrpcCode::ok, "", std::move(response.body), trace};
    std::string out;
    wire::put_bytes(out, 2, response.body);
    return {GrpcCode::ok, "", std::move(out), trace};
  }
  if (!stream || response.status == 401 || response.status == 403) {
    return {code_of(response.status), response.message, "", trace};
  }
  // The stream stays open: an error is of one request.
  std::string out;
  wire::put_bytes(out, 1, response.message);
  return {GrpcCode::ok, "", std::move(out), trace};
}

}  // namespace maas::serving
