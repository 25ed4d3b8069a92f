#include "bindings/serving_python.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <cstring>
#include <string>

#include "core/error.h"
#include "serving/servable.h"

namespace py = pybind11;

namespace maas::bindings {
namespace {

using serving::Batch;
using serving::Bytes;
using serving::Datatype;
using serving::find_datatype;
using serving::ImageDecoder;
using serving::ImageInput;
using serving::ModelInfo;
using serving::ModelStore;
using serving::Pixels;
using serving::row_bytes;
using serving::Servable;
using serving::Shape;
using serving::StoredModel;
using serving::TensorSpec;

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

// A Python object that threads without the GIL may drop, also after the interpreter's end.
class Kept {
 public:
  explicit Kept(py::object object) : object_(std::move(object)) {}
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  ~Kept() {
    if (!Py_IsInitialized()) {
      object_.release();
      return;
    }
    py::gil_scoped_acquire gil;
    object_ = py::object();
  }
  const py::object& operator*() const { return object_; }

 private:
  py::object object_;
};

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
      py::object result = (*function_)(arrays);
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
  Kept function_;
};

// A store that is a Python object with index(), load(name, parameters) and unload(name, parameters).
class PythonStore final : public ModelStore {
 public:
  explicit PythonStore(py::object object) : object_(std::move(object)) {}
  std::vector<StoredModel> index() override {
    py::gil_scoped_acquire gil;
    std::vector<StoredModel> models;
    guarded([&] {
      for (const py::handle row : (*object_).attr("index")()) {
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
    guarded([&] { (*object_).attr(method)(name, py::module_::import("json").attr("loads")(parameters)); });
  }
  Kept object_;
};

// Decoding by a Python function: (bytes, channels, height, width) -> (height, width, bytes), sizes -1 where they are
// free.
class PythonDecoder final : public ImageDecoder {
 public:
  explicit PythonDecoder(py::function function) : function_(std::move(function)) {}
  Pixels decode(std::string_view file, const ImageInput& input) override {
    py::gil_scoped_acquire gil;
    try {
      const py::tuple got =
          (*function_)(py::bytes(file.data(), file.size()), input.channels, input.height, input.width);
      Pixels out;
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
  Kept function_;
};

using SpecTuple = std::tuple<std::string, std::string, std::vector<std::optional<int64_t>>>;

std::vector<TensorSpec> specs(const std::vector<SpecTuple>& list) {
  std::vector<TensorSpec> out;
  for (const auto& [name, datatype, shape] : list) {
    const auto t = find_datatype(datatype);
    if (!t)
      throw Error(ErrorKind::value,
                  "tensor '" + name + "': datatype must be one such as FP32, received '" + datatype + "'");
    TensorSpec spec{name, *t, {}};
    for (const auto& d : shape) spec.shape.push_back(d.value_or(-1));
    out.push_back(std::move(spec));
  }
  return out;
}

}  // namespace

void bind_python_servable(py::module_& m) {
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
}

std::shared_ptr<ModelStore> python_store(py::object object) { return std::make_shared<PythonStore>(std::move(object)); }

std::shared_ptr<ImageDecoder> python_decoder(py::function function) {
  return std::make_shared<PythonDecoder>(std::move(function));
}

}  // namespace maas::bindings
