#include "api/maas.h"

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "core/error.h"
#include "runtime/model_file.h"
#if MAAS_SERVING
#include "serving/program_servable.h"
#include "serving/server.h"
#endif

namespace {

thread_local std::string last_error;

void keep_error(const char* text) noexcept {
  try {
    last_error = text;
  } catch (...) {
    last_error.clear();  // not even the memory for the text
  }
}

// Nothing may leave a C function but its result.
template <class Result, class Body>
Result guarded(Result on_failure, const Body& body) noexcept {
  try {
    return body();
  } catch (const std::exception& e) {
    keep_error(e.what());
  } catch (...) {
    keep_error("unknown failure");
  }
  return on_failure;
}

struct Described {
  std::string name, dtype;
  std::vector<int64_t> shape;
  maas_spec spec() const { return {name.c_str(), dtype.c_str(), static_cast<int64_t>(shape.size()), shape.data()}; }
};

std::vector<Described> describe(const maas::Nodes& nodes, const std::vector<std::string>& names) {
  std::vector<Described> out;
  for (size_t i = 0; i < nodes.size(); ++i) {
    Described d{names[i], maas::to_string(nodes[i].dtype()), {}};
    for (const maas::Dim& size : nodes[i].shape()) d.shape.push_back(size.is_constant() ? size.constant() : -1);
    out.push_back(std::move(d));
  }
  return out;
}

maas_spec at(const std::vector<Described>& list, int64_t i) {
  if (i >= 0 && i < static_cast<int64_t>(list.size())) return list[static_cast<size_t>(i)].spec();
  return guarded(maas_spec{}, [&]() -> maas_spec {
    maas::fail(maas::ErrorKind::index, "there are ", list.size(), " tensors, received number ", i);
  });
}

}  // namespace

struct maas_model {
  std::shared_ptr<maas::SavedModel> file;
  std::shared_ptr<maas::Program> program;
  std::vector<Described> inputs, outputs;
  const maas::Function& function() const { return file->function("predict"); }
};

struct maas_result {
  std::vector<maas::Array> outputs;
};

#if MAAS_SERVING
struct maas_server {
  maas::serving::Server server;
};
#endif

extern "C" {

const char* maas_error(void) { return last_error.c_str(); }

maas_model* maas_model_load(const char* path) {
  return guarded<maas_model*>(nullptr, [&] {
    maas::check(path, "maas_model_load: a path is needed, received NULL");
    auto model = std::make_unique<maas_model>();
    model->file = maas::SavedModel::load(path);
    model->program = model->file->program("predict");
    const maas::Function& f = model->function();
    model->inputs = describe(f.graph.inputs, f.input_names);
    model->outputs = describe(f.graph.outputs, f.output_names);
    return model.release();
  });
}

void maas_model_free(maas_model* model) { delete model; }
int64_t maas_model_input_count(const maas_model* model) { return static_cast<int64_t>(model->inputs.size()); }
int64_t maas_model_output_count(const maas_model* model) { return static_cast<int64_t>(model->outputs.size()); }
maas_spec maas_model_input(const maas_model* model, int64_t i) { return at(model->inputs, i); }
maas_spec maas_model_output(const maas_model* model, int64_t i) { return at(model->outputs, i); }

maas_result* maas_model_run(maas_model* model, const maas_tensor* inputs, int64_t count) {
  return guarded<maas_result*>(nullptr, [&] {
    maas::check(model && (inputs || !count), "maas_model_run: a model and inputs are needed, received NULL");
    maas::check(count == maas_model_input_count(model), "the model has ", model->inputs.size(), " inputs, received ",
                count);
    std::vector<maas::Array> arrays;
    for (int64_t i = 0; i < count; ++i) {
      const maas_tensor& t = inputs[i];
      maas::check(t.rank >= 0 && t.rank <= 32 && (t.shape || t.rank == 0), "input ", i,
                  ": the rank must be in [0, 32] with a shape, received ", t.rank);
      maas::Array a;
      a.dtype = model->function().graph.inputs[static_cast<size_t>(i)].dtype();
      int64_t elements = 1;
      for (int64_t k = 0; k < t.rank; ++k) {
        maas::check(t.shape[k] >= 0 && !__builtin_mul_overflow(elements, t.shape[k], &elements), "input ", i,
                    ": the sizes must be >= 0 and fit into memory, received ", t.shape[k]);
        a.shape.push_back(t.shape[k]);
      }
      maas::check(t.data || elements == 0, "input ", i, " needs data, received NULL");
      // Programs read inputs and never write them.
      a.storage = maas::Storage::wrap(const_cast<void*>(t.data), a.bytes(), std::make_shared<char>());
      arrays.push_back(std::move(a));
    }
    auto result = std::make_unique<maas_result>();
    result->outputs = model->program->run(arrays);
    return result.release();
  });
}

maas_tensor maas_result_output(const maas_result* result, int64_t i) {
  if (i < 0 || i >= static_cast<int64_t>(result->outputs.size())) {
    return guarded(maas_tensor{}, [&]() -> maas_tensor {
      maas::fail(maas::ErrorKind::index, "there are ", result->outputs.size(), " outputs, received number ", i);
    });
  }
  const maas::Array& a = result->outputs[static_cast<size_t>(i)];
  return {a.data(), static_cast<int64_t>(a.shape.size()), a.shape.data()};
}

void maas_result_free(maas_result* result) { delete result; }

#if MAAS_SERVING
maas_server* maas_serve(maas_model* model, const char* name, const char* host, int port) {
  return guarded<maas_server*>(nullptr, [&] {
    maas::check(model && name && host, "maas_serve: a model, a name and a host are needed, received NULL");
    const maas::Function& f = model->function();
    auto servable =
        std::make_shared<maas::serving::ProgramServable>(model->program, name, "1", f.input_names, f.output_names);
    maas::serving::ServerOptions options;
    options.host = host;
    options.port = port;
    auto server = std::unique_ptr<maas_server>(new maas_server{maas::serving::Server(options)});
    server->server.add_model(std::move(servable), {});
    server->server.start();
    return server.release();
  });
}

int maas_server_port(const maas_server* server) { return server->server.port(); }

void maas_server_stop(maas_server* server) {
  if (!server) return;
  guarded(0, [&] { return server->server.stop(), 0; });
  delete server;
}
#else
maas_server* maas_serve(maas_model*, const char*, const char*, int) {
  last_error = "this build has no server (MAAS_SERVING=OFF)";
  return nullptr;
}
int maas_server_port(const maas_server*) { return -1; }
void maas_server_stop(maas_server*) {}
#endif

}  // extern "C"
