// `_core.Server` and models that are Python callables.
#include "bindings/serving.h"

#if MAAS_SERVING

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cerrno>
#include <cstring>
#include <string>

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
using maas::serving::Batch;
using maas::serving::BatcherOptions;
using maas::serving::Bytes;
using maas::serving::Datatype;
using maas::serving::Decision;
using maas::serving::ModelInfo;
using maas::serving::row_bytes;
using maas::serving::Servable;
using maas::serving::Server;
using maas::serving::ServerOptions;
using maas::serving::Shape;
using maas::serving::TensorSpec;

namespace {

const char* numpy_name(Datatype t) {
  switch (t) {
    case Datatype::boolean:
      return "bool";
    case Datatype::uint8:
      return "uint8";
    case Datatype::uint16:
      return "uint16";
    case Datatype::uint32:
      return "uint32";
    case Datatype::uint64:
      return "uint64";
    case Datatype::int8:
      return "int8";
    case Datatype::int16:
      return "int16";
    case Datatype::int32:
      return "int32";
    case Datatype::int64:
      return "int64";
    case Datatype::fp16:
      return "float16";
    case Datatype::fp32:
      return "float32";
    case Datatype::fp64:
      return "float64";
    case Datatype::bytes:
      return "object";
    case Datatype::bf16:
      break;
  }
  throw Error(ErrorKind::not_implemented, "a Python model cannot take BF16, NumPy has no such dtype");
}

struct PythonBatch final : Batch {
  std::vector<Shape> input_shapes, output_shapes;
  std::vector<std::vector<std::byte>> inputs, outputs;
  std::vector<std::vector<std::string>> texts;  // that BYTES outputs point to
  void* input(size_t i) override { return inputs[i].data(); }
  const void* output(size_t i) const override { return outputs[i].data(); }
  Shape output_row_shape(size_t i) const override { return output_shapes[i]; }
};

// A model that is a Python callable: list of arrays in, one array or a list of arrays out. Takes the GIL once a batch.
class PythonServable final : public Servable {
 public:
  PythonServable(ModelInfo info, py::object function) : info_(std::move(info)), function_(std::move(function)) {
    for (const auto& t : info_.inputs) numpy_name(t.datatype);
    for (const auto& t : info_.outputs) numpy_name(t.datatype);
  }
  ~PythonServable() override {
    if (!Py_IsInitialized()) {
      function_.release();
      return;
    }
    py::gil_scoped_acquire gil;
    function_ = py::object();
  }
  const ModelInfo& info() const override { return info_; }

  std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>& row_shapes) override {
    auto b = std::make_unique<PythonBatch>();
    b->input_shapes = row_shapes;
    for (size_t i = 0; i < row_shapes.size(); ++i) {
      b->inputs.emplace_back(static_cast<size_t>(capacity) * row_bytes(row_shapes[i], info_.inputs[i].datatype));
    }
    b->outputs.resize(info_.outputs.size());
    b->texts.resize(info_.outputs.size());
    b->output_shapes.resize(info_.outputs.size());
    return b;
  }

  void run(Batch& batch, int64_t rows) override {
    auto& b = static_cast<PythonBatch&>(batch);
    py::gil_scoped_acquire gil;
    try {
      py::list arrays;
      for (size_t i = 0; i < b.inputs.size(); ++i) {
        Shape shape = b.input_shapes[i];
        if (info_.batched()) shape.insert(shape.begin(), rows);
        if (info_.inputs[i].datatype == Datatype::bytes) {
          arrays.append(strings(shape, reinterpret_cast<const Bytes*>(b.inputs[i].data())));
          continue;
        }
        // A copy: the model may keep what it is given, the batch is filled again.
        arrays.append(py::array(py::dtype(numpy_name(info_.inputs[i].datatype)), shape, b.inputs[i].data()));
      }
      py::object result = function_(arrays);
      if (!py::isinstance<py::list>(result) && !py::isinstance<py::tuple>(result)) result = py::make_tuple(result);
      const auto list = py::reinterpret_borrow<py::sequence>(result);
      if (list.size() != b.outputs.size()) {
        throw Error(ErrorKind::runtime, "the function returned " + std::to_string(list.size()) + " arrays, expected " +
                                            std::to_string(b.outputs.size()));
      }
      for (size_t i = 0; i < b.outputs.size(); ++i) take(b, i, list[i], rows);
    } catch (const py::error_already_set& e) {
      // The text is for the log only: the server never shows an unknown error to a client.
      throw Error(ErrorKind::runtime, e.what());
    }
  }

 private:
  void take(PythonBatch& b, size_t i, const py::object& value, int64_t rows) const {
    const TensorSpec& spec = info_.outputs[i];
    const py::module_ numpy = py::module_::import("numpy");
    const auto array = py::array(numpy.attr("ascontiguousarray")(value, py::dtype(numpy_name(spec.datatype))));
    const Shape shape(array.shape(), array.shape() + array.ndim());
    bool fits = shape.size() == spec.shape.size();
    for (size_t d = 0; fits && d < shape.size(); ++d) fits = spec.shape[d] < 0 || spec.shape[d] == shape[d];
    if (fits && info_.batched()) fits = shape[0] == rows;
    if (!fits) throw Error(ErrorKind::runtime, "output '" + spec.name + "' has a shape that the model did not declare");
    b.output_shapes[i] = Shape(shape.begin() + (info_.batched() ? 1 : 0), shape.end());
    if (spec.datatype == Datatype::bytes) return take_strings(b, i, array);
    b.outputs[i].resize(static_cast<size_t>(array.nbytes()));
    std::memcpy(b.outputs[i].data(), array.data(), b.outputs[i].size());
  }

  // An array of `bytes`, in the order of the elements.
  static py::array strings(const Shape& shape, const Bytes* elements) {
    py::list list;
    int64_t n = 1;
    for (const int64_t d : shape) n *= d;
    for (int64_t i = 0; i < n; ++i) list.append(py::bytes(elements[i].data, elements[i].size));
    py::array flat = py::module_::import("numpy").attr("empty")(n, py::dtype("object"));
    flat[py::ellipsis()] = list;
    return flat.attr("reshape")(shape);
  }

  static void take_strings(PythonBatch& b, size_t i, const py::array& array) {
    std::vector<std::string>& texts = b.texts[i];
    texts.clear();
    for (const py::handle item : py::list(array.attr("ravel")())) {
      if (!py::isinstance<py::bytes>(item) && !py::isinstance<py::str>(item)) {
        throw Error(ErrorKind::runtime, "an output of dtype bytes holds an element that is neither bytes nor str");
      }
      texts.push_back(item.cast<std::string>());
    }
    b.outputs[i].resize(texts.size() * sizeof(Bytes));
    auto* to = reinterpret_cast<Bytes*>(b.outputs[i].data());
    for (size_t j = 0; j < texts.size(); ++j) to[j] = {texts[j].data(), texts[j].size()};
  }

  ModelInfo info_;
  py::object function_;
};

// A store that is a Python object with index(), load(name, parameters) and unload(name, parameters).
class PythonStore final : public maas::serving::ModelStore {
 public:
  explicit PythonStore(py::object object) : object_(std::move(object)) {}
  ~PythonStore() override {
    if (!Py_IsInitialized()) {
      object_.release();
      return;
    }
    py::gil_scoped_acquire gil;
    object_ = py::object();
  }
  std::vector<maas::serving::StoredModel> index() override {
    py::gil_scoped_acquire gil;
    std::vector<maas::serving::StoredModel> models;
    guarded([&] {
      for (const py::handle row : object_.attr("index")()) {
        const auto [name, version, state, reason] =
            row.cast<std::tuple<std::string, std::string, std::string, std::string>>();
        models.push_back({name, version, state, reason});
      }
    });
    return models;
  }
  void load(const std::string& name, const std::string& parameters) override { call("load", name, parameters); }
  void unload(const std::string& name, const std::string& parameters) override { call("unload", name, parameters); }

 private:
  // A ValueError is for the client; the text of anything else is for the log.
  template <class F>
  static void guarded(F&& step) {
    try {
      step();
    } catch (const py::error_already_set& e) {
      const bool told = e.matches(PyExc_ValueError);
      throw Error(told                           ? ErrorKind::value
                  : e.matches(PyExc_MemoryError) ? ErrorKind::memory
                                                 : ErrorKind::runtime,
                  told ? py::str(e.value()).cast<std::string>() : e.what());
    }
  }
  void call(const char* method, const std::string& name, const std::string& parameters) {
    py::gil_scoped_acquire gil;
    guarded([&] { object_.attr(method)(name, py::module_::import("json").attr("loads")(parameters)); });
  }
  py::object object_;
};

// Decoding by a Python function: (bytes, channels, height, width) -> (height, width, bytes), sizes -1 where they are
// free.
class PythonDecoder final : public maas::serving::ImageDecoder {
 public:
  explicit PythonDecoder(py::function function) : function_(std::move(function)) {}
  ~PythonDecoder() override {
    if (!Py_IsInitialized()) {
      function_.release();
      return;
    }
    py::gil_scoped_acquire gil;
    function_ = py::function();
  }
  maas::serving::Pixels decode(std::string_view file, const maas::serving::ImageInput& input) override {
    py::gil_scoped_acquire gil;
    try {
      const py::tuple got = function_(py::bytes(file.data(), file.size()), input.channels, input.height, input.width);
      maas::serving::Pixels out;
      out.height = got[0].cast<int64_t>();
      out.width = got[1].cast<int64_t>();
      const auto bytes = got[2].cast<std::string_view>();
      if (out.height < 1 || out.width < 1 ||
          bytes.size() != static_cast<size_t>(out.height * out.width * input.channels))
        throw Error(ErrorKind::runtime, "the image decoder returned another number of bytes than its sizes say");
      out.data.assign(bytes.begin(), bytes.end());
      return out;
    } catch (const py::error_already_set& e) {
      const bool told = e.matches(PyExc_ValueError), missing = e.matches(PyExc_ImportError);
      if (e.matches(PyExc_MemoryError)) throw std::bad_alloc();
      throw Error(told      ? ErrorKind::value
                  : missing ? ErrorKind::not_implemented
                            : ErrorKind::runtime,
                  told || missing ? py::str(e.value()).cast<std::string>() : e.what());
    }
  }

 private:
  py::function function_;
};

using SpecTuple = std::tuple<std::string, std::string, std::vector<std::optional<int64_t>>>;

std::vector<TensorSpec> specs(const std::vector<SpecTuple>& list) {
  std::vector<TensorSpec> out;
  for (const auto& [name, datatype, shape] : list) {
    const auto t = maas::serving::find_datatype(datatype);
    if (!t)
      throw Error(ErrorKind::value,
                  "tensor '" + name + "': datatype must be one such as FP32, received '" + datatype + "'");
    TensorSpec spec{name, *t, {}};
    for (const auto& d : shape) spec.shape.push_back(d.value_or(-1));
    out.push_back(std::move(spec));
  }
  return out;
}

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
    server_->set_model_store(std::make_shared<PythonStore>(std::move(store)), may_change);
  }
  void set_image_decoder(py::function decode) {
    server_->set_image_decoder(std::make_shared<PythonDecoder>(std::move(decode)));
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
  py::class_<PythonServable, Servable, std::shared_ptr<PythonServable>>(m, "PythonServable")
      .def(py::init([](const std::string& name, const std::string& version, const std::vector<SpecTuple>& inputs,
                       const std::vector<SpecTuple>& outputs, py::function function) {
             ModelInfo info;
             info.name = name;
             info.version = version;
             info.platform = "maas_python";
             info.inputs = specs(inputs);
             info.outputs = specs(outputs);
             return std::make_shared<PythonServable>(std::move(info), std::move(function));
           }),
           py::arg("name"), py::arg("version"), py::arg("inputs"), py::arg("outputs"), py::arg("function"));
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

#else

void bind_serving(pybind11::module_&) {}

#endif
