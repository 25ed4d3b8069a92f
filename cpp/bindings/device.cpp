// Devices, and arrays shared with other libraries through DLPack.
#include "bindings/common.h"
#include "bindings/dlpack.h"
#include "core/gpu.h"

namespace maas::bindings {
namespace {

using namespace dlpack;

DataType to_dlpack(DType t) {
  switch (t) {
    case DType::f64:
    case DType::f32:
    case DType::f16:
      return {kFloat, static_cast<uint8_t>(bit_size(t)), 1};
    case DType::bf16:
      return {kBfloat, 16, 1};
    case DType::b8:
      return {kBool, 8, 1};
    case DType::u8:
    case DType::u16:
    case DType::u32:
    case DType::u64:
      return {kUint, static_cast<uint8_t>(bit_size(t)), 1};
    case DType::i8:
    case DType::i16:
    case DType::i32:
    case DType::i64:
      return {kInt, static_cast<uint8_t>(bit_size(t)), 1};
    default:
      fail(ErrorKind::type, "DLPack has no dtype for ", t);
  }
}

DType from_dlpack_type(DataType t) {
  for (DType d : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::b8, DType::u8, DType::u16, DType::u32,
                  DType::u64, DType::i8, DType::i16, DType::i32, DType::i64}) {
    const DataType mine = to_dlpack(d);
    if (t.code == mine.code && t.bits == mine.bits && t.lanes == 1) return d;
  }
  fail(ErrorKind::type, "no dtype of ours is DLPack's, received code ", int{t.code}, " of ", int{t.bits}, " bits, ",
       t.lanes, " lanes");
}

DeviceOf to_dlpack(Device device) { return device.is_cpu() ? DeviceOf{kCpu, 0} : DeviceOf{kCuda, device.index}; }

// What a capsule keeps alive.
struct Export {
  Array array;
  std::vector<int64_t> shape, strides;
  Managed managed{};
};

py::capsule export_array(const Array& array) {
  auto keep = std::make_unique<Export>();
  keep->array = array;
  keep->shape = array.shape;
  keep->strides.resize(array.shape.size());
  int64_t stride = 1;
  for (size_t i = array.shape.size(); i-- > 0; stride *= array.shape[i]) keep->strides[i] = stride;
  TensorView& view = keep->managed.tensor;
  view.data = array.data();
  view.device = to_dlpack(array.device());
  view.ndim = static_cast<int32_t>(array.shape.size());
  view.dtype = to_dlpack(array.dtype);
  view.shape = keep->shape.data();
  view.strides = keep->strides.data();
  keep->managed.context = keep.get();
  keep->managed.deleter = [](Managed* m) { delete static_cast<Export*>(m->context); };
  // Another library's stream knows nothing of ours.
  if (!array.device().is_cpu()) gpu().synchronize(array.device().index);
  Managed* const managed = &keep.release()->managed;
  return py::capsule(managed, "dltensor", [](PyObject* capsule) {
    if (!PyCapsule_IsValid(capsule, "dltensor")) return;  // taken: the consumer frees it
    auto* m = static_cast<Managed*>(PyCapsule_GetPointer(capsule, "dltensor"));
    m->deleter(m);
  });
}

template <class M>
Array adopt(M* managed) {
  const std::shared_ptr<void> owner(managed, [](M* m) {
    // Our stream may still read it, and its owner would use the memory again at once.
    const DeviceOf d = m->tensor.device;
    if (d.type == kCuda && gpu_problem().empty()) {
      try {
        gpu().synchronize(d.id);
      } catch (const Error&) {  // a GPU that is lost reads nothing
      }
    }
    if (m->deleter) m->deleter(m);
  });
  const TensorView& view = managed->tensor;
  Array array;
  array.dtype = from_dlpack_type(view.dtype);
  array.shape.assign(view.shape, view.shape + view.ndim);
  int64_t stride = 1;
  for (int i = view.ndim; i-- > 0; stride *= view.shape[i])
    if (view.strides && view.shape[i] != 1 && view.strides[i] != stride && array.size() > 0)
      fail(ErrorKind::type,
           "an array from another library must be dense and row-major (make it contiguous first), received stride ",
           view.strides[i], " on axis ", i, " of shape ", to_string(to_shape(array.shape)));
  Device device;
  if (view.device.type == kCuda || view.device.type == kCudaManaged)
    device = {DeviceKind::cuda, view.device.id};
  else if (view.device.type != kCpu && view.device.type != kCudaHost)
    fail(ErrorKind::type,
         "an array from another library must be on the cpu or a CUDA gpu, received DLPack device type ",
         view.device.type);
  array.storage = Storage::wrap(static_cast<char*>(view.data) + view.byte_offset, array.bytes(), owner, device);
  return array;
}

}  // namespace

Array import_dlpack(const py::object& value) {
  py::object capsule;
  if (PyCapsule_CheckExact(value.ptr())) {
    capsule = value;
  } else {
    const auto device = value.attr("__dlpack_device__")().cast<std::pair<int, int>>();
    // The producer makes our stream wait for what it still computes.
    if (device.first == kCuda)
      capsule = value.attr("__dlpack__")(py::arg("stream") = reinterpret_cast<intptr_t>(gpu().stream(device.second)));
    else
      capsule = value.attr("__dlpack__")();
  }
  PyObject* const c = capsule.ptr();
  if (PyCapsule_IsValid(c, "dltensor")) {
    auto* const managed = static_cast<Managed*>(PyCapsule_GetPointer(c, "dltensor"));
    PyCapsule_SetName(c, "used_dltensor");  // from here on adopt frees it, also when it refuses it
    return adopt(managed);
  }
  if (PyCapsule_IsValid(c, "dltensor_versioned")) {
    auto* const managed = static_cast<ManagedVersioned*>(PyCapsule_GetPointer(c, "dltensor_versioned"));
    PyCapsule_SetName(c, "used_dltensor_versioned");  // from here on adopt frees it, also when it refuses it
    return adopt(managed);
  }
  fail(ErrorKind::type, "a DLPack capsule that nobody took yet is needed, received ",
       py::repr(capsule).cast<std::string>());
}

bool is_gpu_array(const py::handle& value) {
  if (!py::hasattr(value, "__dlpack_device__")) return false;
  return value.attr("__dlpack_device__")().cast<std::pair<int, int>>().first == kCuda;
}

void bind_device(py::module_& m) {
  m.def("gpu_problem", &gpu_problem, "Why no GPU can be used, or ''.");
  m.def("gpu_count", [] { return gpu_problem().empty() ? gpu().count() : 0; });
  m.def("gpu_info", [](int index) {
    const GpuInfo info = gpu().info(index);
    py::dict d;
    d["name"] = info.name;
    d["memory"] = info.memory;
    d["compute_capability"] = text(info.major, ".", info.minor);
    d["multiprocessors"] = info.multiprocessors;
    d["emulated"] = info.emulated;
    return d;
  });
  m.def("gpu_memory", [](int index) { return gpu().memory(index); }, "(bytes in use, most so far)");
  m.def("synchronize", [](const std::string& name) {
    const Device device = parse_device(name);
    py::gil_scoped_release release;
    if (!device.is_cpu()) gpu().synchronize(device.index);
  });
  m.def("current_device", [] { return to_string(current_device()); });
  m.def(
      "set_current_device",
      [](const std::string& name) {
        const Device device = parse_device(name);
        if (!device.is_cpu()) gpu().info(device.index);  // a GPU that is not there is an error here, not at first use
        const std::string before = to_string(current_device());
        set_current_device(device);
        return before;
      },
      "Where this thread makes state, and runs what has none; gives what it was.");
  m.def("parse_device", [](const std::string& name) { return to_string(parse_device(name)); });
  m.def(
      "from_dlpack", [](const py::object& value) { return Tensor(import_dlpack(value)); },
      "A tensor that shares the memory of another library's array, on its device.");
  const py::object tensor = m.attr("Tensor");
  tensor.attr("__dlpack_device__") = py::cpp_function(
      [](const Tensor& t) {
        const DeviceOf d = to_dlpack(t.array.device());
        return std::pair(d.type, d.id);
      },
      py::is_method(tensor));
  tensor.attr("__dlpack__") = py::cpp_function(
      [](const Tensor& t, const py::kwargs&) {
        if (!t.has_value())
          fail(ErrorKind::type, "a symbolic tensor has no memory while it is traced, received one of shape ",
               to_string(t.shape()));
        return export_array(t.array);
      },
      py::is_method(tensor));
  tensor.attr("to") = py::cpp_function(
      [](const Tensor& t, const std::string& device) {
        if (!t.has_value())
          fail(ErrorKind::type, "a symbolic tensor has no memory while it is traced, received one of shape ",
               to_string(t.shape()));
        return Tensor(t.array.to(parse_device(device)));
      },
      py::is_method(tensor));
}

}  // namespace maas::bindings
