// `_core.Server`.
#include "bindings/serving.h"

#include <pybind11/stl.h>

#include <cerrno>
#include <cstring>
#include <string>

#include "bindings/serving_python.h"
#include "core/error.h"
#include "core/json.h"
#include "serving/grpc_service.h"
#include "serving/images.h"
#include "serving/model_store.h"
#include "serving/open_beneath.h"
#include "serving/program_servable.h"
#include "serving/server.h"
#include "serving/tls.h"

namespace py = pybind11;
using maas::Error;
using maas::ErrorKind;
using maas::serving::BatcherOptions;
using maas::serving::Decision;
using maas::serving::Servable;
using maas::serving::Server;
using maas::serving::ServerOptions;

namespace {

// Moves the entry `key`, if given, out of `options`; what is left in the end was misspelt.
template <class T>
void option(py::dict& options, const char* key, T& field) {
  if (!options.contains(key)) return;
  try {
    field = options[key].cast<T>();
  } catch (const py::cast_error&) {
    const char* kind = std::is_same_v<T, std::string> ? "text"
                       : std::is_same_v<T, bool>      ? "True or False"
                       : std::is_class_v<T>           ? "a list of whole numbers"
                       : std::is_floating_point_v<T>  ? "a number in range"
                                                      : "a whole number in range";
    throw Error(ErrorKind::value,
                std::string(key) + " must be " + kind + ", received " + py::repr(options[key]).cast<std::string>());
  }
  options.attr("pop")(key);
}

void refuse_rest(const py::dict& options) {
  for (const auto& [key, value] : options) {
    throw Error(ErrorKind::value, "unknown server option, received '" + py::str(key).cast<std::string>() + "'");
  }
}

// The options of one model by name; the rest are the server's.
template <class F>
void each_batcher_option(BatcherOptions& o, F&& f) {
  f("max_batch_size", o.max_batch_size);
  f("max_queue_delay_us", o.max_queue_delay_us);
  f("max_queue_size", o.max_queue_size);
  f("max_queue_bytes", o.max_queue_bytes);
  f("inline_budget_ns", o.inline_budget_ns);
  f("preferred_batch_size", o.preferred_batch_size);
  f("instances", o.instances);
  f("priority_levels", o.priority_levels);
  f("default_priority", o.default_priority);
}

BatcherOptions batcher_options(py::dict& d) {
  BatcherOptions o;
  each_batcher_option(o, [&](const char* name, auto& field) { option(d, name, field); });
  return o;
}

py::tuple batching_options() {
  BatcherOptions o;
  py::list names;
  each_batcher_option(o, [&](const char* name, auto&) { names.append(name); });
  return py::tuple(names);
}

py::list routes(bool management) {
  py::list out;
  const auto add = [&](const maas::serving::RouteRow& row) {
    py::list methods, scopes;
    for (const auto& [bit, name] : {std::pair{maas::serving::kGet, "GET"}, std::pair{maas::serving::kPost, "POST"},
                                    std::pair{maas::serving::kDelete, "DELETE"}}) {
      if ((row.methods & bit) != 0) methods.append(name);
    }
    for (const char* name : {"infer", "read", "manage", "admin"}) {
      if ((row.scopes & maas::serving::find_scope(name)) != 0) scopes.append(name);
    }
    out.append(py::make_tuple(maas::serving::route_name(row.id), row.pattern, methods, scopes));
  };
  for (const auto& row : maas::serving::kRoutes) {
    if ((row.planes & (management ? maas::serving::kManagement : maas::serving::kData)) != 0) add(row);
  }
  return out;
}

int open_beneath(int folder, const std::string& path, bool plain_walk) {
  const int fd =
      path.find('\0') == std::string::npos ? maas::serving::open_beneath(folder, path.c_str(), plain_walk) : -EINVAL;
  if (fd >= 0) return fd;
  errno = -fd;
  PyErr_SetFromErrnoWithFilename(PyExc_OSError, path.c_str());
  throw py::error_already_set();
}

ServerOptions server_options(py::dict& d) {
  ServerOptions o;
  option(d, "io_threads", o.io_threads);
  option(d, "max_body_bytes", o.max_body_bytes);
  option(d, "max_total_body_bytes", o.max_total_body_bytes);
  option(d, "max_header_bytes", o.max_header_bytes);
  option(d, "max_header_fields", o.max_header_fields);
  option(d, "max_url_bytes", o.max_url_bytes);
  option(d, "max_chunks", o.max_chunks);
  option(d, "max_connections", o.max_connections);
  option(d, "tls_cert", o.tls_cert);
  option(d, "tls_key", o.tls_key);
  option(d, "client_ca", o.client_ca);
  option(d, "access_log", o.access_log);
  option(d, "keys_file", o.keys_file);
  option(d, "insecure_no_auth", o.insecure_no_auth);
  option(d, "max_in_flight_per_key", o.max_in_flight_per_key);
  option(d, "header_timeout", o.header_timeout);
  option(d, "idle_timeout", o.idle_timeout);
  option(d, "request_timeout", o.request_timeout);
  option(d, "drain_timeout", o.drain_timeout);
  return o;
}

// The threads of a server may wait for the GIL, so it is released around everything that waits for them.
class PythonServer {
 public:
  PythonServer(const std::vector<std::shared_ptr<Servable>>& models, const std::string& host, int port,
               py::dict options) {
    py::dict rest = options.attr("copy")();
    ServerOptions o = server_options(rest);
    o.host = host;
    o.port = port;
    const BatcherOptions batching = batcher_options(rest);
    refuse_rest(rest);
    server_ = std::make_unique<Server>(std::move(o));
    for (const auto& model : models) server_->add_model(model, batching);
  }
  ~PythonServer() {
    py::gil_scoped_release release;
    server_.reset();
  }
  void load_model(const std::shared_ptr<Servable>& model, py::dict options) {
    py::dict rest = options.attr("copy")();
    const BatcherOptions batching = batcher_options(rest);
    refuse_rest(rest);
    py::gil_scoped_release release;
    server_->load_model(model, batching);
  }
  bool unload_model(const std::string& name) { return server_->unload_model(name); }
  std::vector<std::string> models() const { return server_->models(); }
  void set_model_store(py::object store, bool may_change) {
    server_->set_model_store(maas::bindings::python_store(std::move(store)), may_change);
  }
  void set_image_decoder(py::function decode) {
    server_->set_image_decoder(maas::bindings::python_decoder(std::move(decode)));
  }
  void start() { server_->start(); }
  std::shared_ptr<Decision> authorise(const std::string& route, const std::string& model,
                                      const std::string& authorization) {
    maas::serving::Route r;
    r.id = maas::serving::find_route(route);
    r.model = model;
    return std::make_shared<Decision>(server_->access().authorise(r, authorization, maas::serving::kManagement));
  }
  py::tuple manage(const std::string& route, const std::string& model, const py::bytes& body,
                   const std::shared_ptr<Decision>& decision) {
    const std::string_view in = body;
    std::tuple<int, std::string, std::string, std::string> answer;
    {
      py::gil_scoped_release release;
      answer = server_->manage(route, model, in, *decision);
    }
    return py::make_tuple(std::get<0>(answer), std::get<1>(answer), std::get<2>(answer),
                          py::bytes(std::get<3>(answer)));
  }
  void add_key(const std::string& id, const std::string& sha256, const std::vector<std::string>& scopes) {
    maas::serving::Key key;
    key.id = id;
    key.sha256 = sha256;
    for (const std::string& s : scopes) key.scopes |= maas::serving::find_scope(s);
    key.models = {"*"};
    server_->access().add(std::move(key));
  }
  void refresh_keys() { server_->access().refresh(); }
  py::tuple grpc(const std::string& method, const py::bytes& message, const std::string& authorization,
                 const std::string& traceparent, const std::string& peer, double seconds) {
    const std::string_view in = message;
    maas::serving::GrpcAnswer answer;
    {
      py::gil_scoped_release release;
      answer = server_->grpc(method, in, {authorization, traceparent, peer, seconds});
    }
    return py::make_tuple(static_cast<int>(answer.code), answer.message, py::bytes(answer.body), answer.traceresponse);
  }
  py::tuple grpc_admits(const std::string& method, const std::string& authorization, const std::string& traceparent) {
    const auto answer = server_->grpc_admits(method, {authorization, traceparent, "", 0});
    return py::make_tuple(static_cast<int>(answer.code), answer.message);
  }
  void reload() { server_->reload(); }
  py::object tls_pem() const {
    if (!server_->tls()) return py::none();
    const maas::serving::TlsPem pem = server_->tls()->pem();
    return py::make_tuple(py::bytes(pem.cert), py::bytes(pem.key), py::bytes(pem.client_ca));
  }
  uint64_t tls_generation() const { return server_->tls() ? server_->tls()->generation() : 0; }
  bool trusts_client(const std::string& pem) const {
    return server_->tls() && server_->tls()->asks_clients() && server_->tls()->context()->trusts(pem);
  }
  int port() const { return server_->port(); }
  void stop() { server_->stop(); }
  bool wait(double seconds) const { return server_->wait(seconds); }

 private:
  std::unique_ptr<Server> server_;
};

}  // namespace

void bind_serving(py::module_& m) {
  py::class_<Servable, std::shared_ptr<Servable>>(m, "Servable", "A model that `_core.Server` can serve.")
      .def_property_readonly("name", [](const Servable& s) { return s.info().name; });
  maas::bindings::bind_python_servable(m);
  py::class_<maas::serving::ProgramServable, Servable, std::shared_ptr<maas::serving::ProgramServable>>(
      m, "ProgramServable")
      .def(py::init<std::shared_ptr<maas::Program>, std::string, std::string, const std::vector<std::string>&,
                    const std::vector<std::string>&>(),
           py::arg("program"), py::arg("name"), py::arg("version"), py::arg("inputs"), py::arg("outputs"));
  m.def("openssl_version", &maas::serving::openssl_version,
        "Version of the OpenSSL that TLS uses; NotImplementedError without it.");
  py::class_<Decision, std::shared_ptr<Decision>>(m, "Decision", "Whether a request may be made.")
      .def_readonly("status", &Decision::status)
      .def_property_readonly("text", [](const Decision& d) { return std::string(d.text); })
      .def_readonly("retry_after", &Decision::retry_after)
      .def_property_readonly("key", [](const Decision& d) { return d.key ? d.key->id : std::string(); })
      .def("release", [](Decision& d) { d.hold.release(); }, "The request has ended.");
  m.attr("batching_options") = batching_options();
  m.def("routes", &routes, py::arg("management") = false, "(name, pattern, methods, scopes) of a listener's routes.");
  m.def("valid_name", &maas::serving::valid_name, py::arg("name"), "Whether a model or version may have this name.");
  m.def("open_beneath", &open_beneath, py::arg("folder"), py::arg("path"), py::arg("plain_walk") = false,
        "A descriptor of what lies in the folder of a descriptor; OSError for what lies outside.");
  m.def(
      "check_json", [](const py::bytes& text, int depth) { maas::json::parse(std::string_view(text), depth); },
      py::arg("text"), py::arg("depth") = 16, "ValueError unless this is JSON that nests at most so deep.");
  m.def("check_host", &maas::serving::check_host, py::arg("host"), py::arg("keys"), py::arg("insecure_no_auth"),
        "Raises ValueError for an address that other machines reach without keys.");
  py::class_<PythonServer>(m, "Server")
      .def(py::init<const std::vector<std::shared_ptr<Servable>>&, const std::string&, int, py::dict>(),
           py::arg("models"), py::arg("host") = "127.0.0.1", py::arg("port") = 8000, py::arg("options") = py::dict())
      .def("load_model", &PythonServer::load_model, py::arg("model"), py::arg("options") = py::dict())
      .def("unload_model", &PythonServer::unload_model, py::arg("name"), py::call_guard<py::gil_scoped_release>())
      .def("models", &PythonServer::models)
      .def("set_model_store", &PythonServer::set_model_store, py::arg("store"), py::arg("may_change") = false)
      .def("set_image_decoder", &PythonServer::set_image_decoder, py::arg("decode"))
      .def("grpc", &PythonServer::grpc, py::arg("method"), py::arg("message"), py::arg("authorization"),
           py::arg("traceparent"), py::arg("peer"), py::arg("seconds"),
           "(status code, message, answer, traceresponse) of one call of the inference service.")
      .def("grpc_admits", &PythonServer::grpc_admits, py::arg("method"), py::arg("authorization"),
           py::arg("traceparent"), "(status code, message): whether the key may make such calls at all.")
      .def("reload", &PythonServer::reload, py::call_guard<py::gil_scoped_release>(),
           "Reads keys and certificates again; raises what is wrong with one, which stays as it was.")
      .def("tls_pem", &PythonServer::tls_pem, "(certificate, key, client authorities) in use, None without TLS.")
      .def("trusts_client", &PythonServer::trusts_client, py::arg("pem"),
           "Whether a client's certificates, its own first, are valid now.")
      .def_property_readonly("tls_generation", &PythonServer::tls_generation,
                             "Raised whenever the certificate is read again; 0 without TLS.")
      .def("authorise", &PythonServer::authorise, py::arg("route"), py::arg("model"), py::arg("authorization"),
           "The one check of both listeners, for a route of the management listener by name.")
      .def("manage", &PythonServer::manage, py::arg("route"), py::arg("model"), py::arg("body"), py::arg("decision"),
           "(status, header lines, content type, body) of a request that was allowed.")
      .def("add_key", &PythonServer::add_key, py::arg("id"), py::arg("sha256"), py::arg("scopes"),
           "A key of this process alone.")
      .def("refresh_keys", &PythonServer::refresh_keys, "Reads the file of keys again if it has changed.")
      .def("start", &PythonServer::start, py::call_guard<py::gil_scoped_release>())
      .def("stop", &PythonServer::stop, py::call_guard<py::gil_scoped_release>())
      .def("wait", &PythonServer::wait, py::arg("seconds") = -1.0, py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("port", &PythonServer::port);
}
