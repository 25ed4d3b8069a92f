// Between Python values and arrays, shapes and parameters.
#include <cstring>

#include "bindings/common.h"
#include "core/element_io.h"
#include "core/error.h"

namespace maas::bindings {
namespace {

// NumPy has no dtypes of its own for these.
bool foreign(DType t) { return t == DType::bf16 || t == DType::f8 || t == DType::f8e5 || t == DType::i4; }

std::optional<DType> dtype_of(const py::dtype& d) {
  if (d.num() >= 256) {  // registered by another package, such as ml_dtypes
    const auto name = py::str(d.attr("name")).cast<std::string>();
    if (name == "bfloat16") return DType::bf16;
    if (name == "float8_e4m3fn") return DType::f8;
    if (name == "float8_e5m2") return DType::f8e5;
    if (name == "int4") return DType::i4;
    return {};
  }
  switch (d.kind()) {
    case 'f':
      return d.itemsize() == 8   ? DType::f64
             : d.itemsize() == 4 ? DType::f32
             : d.itemsize() == 2 ? std::optional(DType::f16)
                                 : std::nullopt;
    case 'i':
      return d.itemsize() == 8   ? DType::i64
             : d.itemsize() == 4 ? DType::i32
             : d.itemsize() == 2 ? DType::i16
                                 : DType::i8;
    case 'u':
      return d.itemsize() == 8   ? DType::u64
             : d.itemsize() == 4 ? DType::u32
             : d.itemsize() == 2 ? DType::u16
                                 : DType::u8;
    case 'b':
      return DType::b8;
    default:
      break;
  }
  return {};
}

py::dtype numpy_dtype(DType t) {
  switch (t) {
    case DType::f64:
      return py::dtype("float64");
    case DType::f32:
      return py::dtype("float32");
    case DType::f16:
      return py::dtype("float16");
    case DType::i8:
      return py::dtype("int8");
    case DType::u8:
      return py::dtype("uint8");
    case DType::i16:
      return py::dtype("int16");
    case DType::i32:
      return py::dtype("int32");
    case DType::i64:
      return py::dtype("int64");
    case DType::u16:
      return py::dtype("uint16");
    case DType::u32:
      return py::dtype("uint32");
    case DType::u64:
      return py::dtype("uint64");
    case DType::b8:
      return py::dtype("bool");
    default:
      fail(ErrorKind::not_implemented, "NumPy has no dtype for ", t);
  }
}

// The NumPy dtype that the package ml_dtypes registers; None where it is not installed.
py::object foreign_dtype(DType t) {
  static const auto* dtypes = [] {
    auto* found = new std::vector<py::object>(4, py::none());
    try {
      const py::module_ package = py::module_::import("ml_dtypes");
      const char* names[] = {"bfloat16", "float8_e4m3fn", "float8_e5m2", "int4"};
      for (size_t i = 0; i < 4; ++i) (*found)[i] = py::dtype::from_args(package.attr(names[i]));
    } catch (py::error_already_set& e) {
      if (!e.matches(PyExc_ImportError)) throw;
    }
    return found;
  }();
  return (*dtypes)[t == DType::bf16 ? 0 : t == DType::f8 ? 1 : t == DType::f8e5 ? 2 : 3];
}

py::array as_numpy(const py::handle& value) {
  py::array a = py::array::ensure(value);
  if (!a) {
    PyErr_Clear();
    fail(ErrorKind::type, "an array or number is needed, received ",
         py::str(py::type::handle_of(value)).cast<std::string>());
  }
  return a;
}

std::vector<int64_t> shape_of(const py::array& a) { return {a.shape(), a.shape() + a.ndim()}; }

py::array contiguous(py::array a, const py::dtype& dtype) {
  return py::module_::import("numpy")
      .attr("ascontiguousarray")(a, dtype)
      .cast<py::array>()
      .attr("reshape")(py::cast(shape_of(a)))
      .cast<py::array>();
}

Array cast_array(const Array& x, DType to) {
  Array out(to, x.shape);
  for (int64_t i = 0, n = x.size(); i < n; ++i) {
    if (is_floating(x.dtype))
      store_element(out.data(), to, i, load_element<double>(x.data(), x.dtype, i));
    else if (x.dtype == DType::u64)
      store_element(out.data(), to, i, load_element<uint64_t>(x.data(), x.dtype, i));
    else
      store_element(out.data(), to, i, load_element<int64_t>(x.data(), x.dtype, i));
  }
  return out;
}

// Values of a dtype that NumPy lacks, in or out, one by one. Their bytes are read as they are: casts of such arrays by
// NumPy need not round once.
Array cast_numpy(const py::array& given, DType from, DType to) {
  py::array a = given;
  const bool packed = from == DType::i4;  // a byte each in NumPy
  if (foreign(from))
    a = py::module_::import("numpy").attr("ascontiguousarray")(a).attr("view")(packed                ? "int8"
                                                                               : bit_size(from) == 8 ? "uint8"
                                                                                                     : "uint16");
  else
    a = contiguous(a, numpy_dtype(from));
  Array out(to, shape_of(given));
  if (from == to && !packed) {  // also NaNs as they are
    std::memcpy(out.data(), a.data(), out.bytes());
    return out;
  }
  if (packed) {  // the low half of the byte counts
    for (int64_t i = 0, n = out.size(); i < n; ++i)
      store_element(out.data(), to, i, load_element<double>(static_cast<const uint8_t*>(a.data()) + i, from, 0));
    return out;
  }
  for (int64_t i = 0, n = out.size(); i < n; ++i) {
    if (from == DType::u64)
      store_element(out.data(), to, i, load_element<uint64_t>(a.data(), from, i));
    else if (from == DType::i64)
      store_element(out.data(), to, i, load_element<int64_t>(a.data(), from, i));
    else
      store_element(out.data(), to, i, load_element<double>(a.data(), from, i));
  }
  return out;
}

// Numbers that Python wrote, not those of an array, must fit: an OverflowError as in NumPy and JAX. `a` is what NumPy
// made of them: int64, uint64, or objects where they are larger still.
void check_fits(const py::array& a, DType to) {
  if (!is_integer(to) || foreign(to) || a.size() == 0) return;
  const char kind = a.dtype().kind();
  if (kind != 'i' && kind != 'u' && kind != 'O') return;
  const py::object info = py::module_::import("numpy").attr("iinfo")(numpy_dtype(to));
  const py::object least = info.attr("min"), most = info.attr("max");
  for (const char* name : {"min", "max"}) {
    py::object found = a.attr(name)();
    if (kind == 'O' && !PyLong_Check(found.ptr())) return;  // no numbers at all: the caller says so
    found = py::int_(found);
    if (found >= least && found <= most) continue;
    const std::string text =
        py::str(found).cast<std::string>() + " does not fit in " + to_string(to) + ", which holds " +
        py::str(least).cast<std::string>() + " to " + py::str(most).cast<std::string>() +
        ": ask for a wider dtype, or give an array; received " + py::str(found).cast<std::string>();
    PyErr_SetString(PyExc_OverflowError, text.c_str());
    throw py::error_already_set();
  }
}

}  // namespace

Array to_array(const py::handle& value, std::optional<DType> wanted) {
  if (py::isinstance<Tensor>(value)) {
    const Tensor& t = value.cast<const Tensor&>();
    if (!t.has_value())
      fail(ErrorKind::type,
           "a symbolic tensor has no value while it is traced: use maas.ops in place of NumPy, received one of shape ",
           to_string(t.shape()));
    if (!wanted || *wanted == t.dtype()) return t.array;
    if (foreign(*wanted) || foreign(t.dtype())) return cast_array(t.array.host(), *wanted);
  }
  if (!py::isinstance<py::array>(value) && !py::isinstance<Tensor>(value) && is_gpu_array(value)) {
    Array shared = import_dlpack(py::reinterpret_borrow<py::object>(value));
    if (!wanted || *wanted == shared.dtype) return shared;
    return to_array(py::cast(Tensor(std::move(shared))), wanted);
  }
  py::array a = as_numpy(value);
  if (wanted && (PyLong_CheckExact(value.ptr()) || PyList_Check(value.ptr()) || PyTuple_Check(value.ptr())))
    check_fits(a, *wanted);
  auto dtype = dtype_of(a.dtype());
  if (!dtype)
    fail(ErrorKind::type, "an array of numbers is needed, received dtype ", py::str(a.dtype()).cast<std::string>());
  DType target = wanted.value_or(*dtype);
  if (foreign(target) || foreign(*dtype)) return cast_numpy(a, *dtype, target);
  a = contiguous(std::move(a), numpy_dtype(target));
  Array out(target, shape_of(a));
  std::memcpy(out.data(), a.data(), out.bytes());
  return out;
}

py::array to_numpy(const Array& array) {
  if (!array.device().is_cpu()) return to_numpy(array.host());
  if (foreign(array.dtype)) {
    const py::object registered = foreign_dtype(array.dtype);
    const bool same = !registered.is_none() && array.dtype != DType::i4;
    Array out = array;
    if (!same) {  // i4: a byte each; without ml_dtypes: the NumPy dtype that holds every value
      out = Array(array.dtype == DType::i4 ? DType::i8 : DType::f32, array.shape);
      for (int64_t i = 0; i < array.size(); ++i)
        store_element(out.data(), out.dtype, i, load_element<float>(array.data(), array.dtype, i));
      if (registered.is_none()) return share_numpy(out);
      for (int64_t i = 0; i < array.size(); ++i) out.as<uint8_t>()[i] &= 15;  // as ml_dtypes writes int4
    }
    py::array result(registered.cast<py::dtype>(), out.shape);
    std::memcpy(result.mutable_data(), out.data(), out.bytes());
    return result;
  }
  py::array out(numpy_dtype(array.dtype), array.shape);
  std::memcpy(out.mutable_data(), array.data(), array.bytes());
  return out;
}

py::array share_numpy(Array array) {
  array = array.host();
  if (foreign(array.dtype)) return to_numpy(array);
  auto* keep = new std::shared_ptr<Storage>(array.storage);
  py::capsule owner(keep, [](void* p) { delete static_cast<std::shared_ptr<Storage>*>(p); });
  return py::array(numpy_dtype(array.dtype), array.shape, array.data(), owner);
}

bool view_exact(const py::array& a, DType dtype, Array& out) {
  constexpr int needed = py::array::c_style | py::detail::npy_api::NPY_ARRAY_ALIGNED_;
  if ((a.flags() & needed) != needed) return false;
  const auto* descriptor = py::detail::array_proxy(a.ptr())->descr;
  const auto* fields = py::detail::array_descriptor1_proxy(descriptor);
  const bool simple = fields->byteorder != '>' && ((dtype == DType::f32 && fields->kind == 'f' && a.itemsize() == 4) ||
                                                   (dtype != DType::i4 && dtype_of(a.dtype()) == dtype));
  if (!simple) return false;
  out.dtype = dtype;
  out.shape.assign(a.shape(), a.shape() + a.ndim());
  // The caller's argument keeps the memory alive until the call returns, which is as long as this view lives.
  static const auto outlives = std::make_shared<int>(0);
  out.storage = Storage::wrap(const_cast<void*>(a.data()), static_cast<size_t>(a.nbytes()), outlives);
  return true;
}

Array borrow(const py::handle& value, DType dtype, const char* what) {
  if (py::isinstance<Tensor>(value)) {
    const Tensor& t = value.cast<const Tensor&>();
    if (t.has_value()) {
      if (t.dtype() != dtype) fail(ErrorKind::type, what, " must be ", dtype, ", received ", t.dtype());
      return t.array;
    }
  }
  if (py::isinstance<py::array>(value)) {
    py::array a = py::reinterpret_borrow<py::array>(value);
    Array out;
    if (view_exact(a, dtype, out)) return out;
    if (auto got = dtype_of(a.dtype()); got && *got != dtype)
      fail(ErrorKind::type, what, " must be ", dtype, ", received ", *got);
  }
  return to_array(value, dtype);
}

Dim to_dim(const py::handle& value) {
  if (py::isinstance<Dim>(value)) return value.cast<Dim>();
  if (PyIndex_Check(value.ptr())) return Dim(py::int_(py::reinterpret_borrow<py::object>(value)).cast<int64_t>());
  fail(ErrorKind::type, "a size must be an int or a Dim, received ", py::repr(value).cast<std::string>());
}

py::object shape_to_python(const Shape& shape) {
  py::tuple out(shape.size());
  for (size_t i = 0; i < shape.size(); ++i)
    out[i] = shape[i].is_constant() ? py::object(py::int_(shape[i].constant())) : py::object(py::none());
  return out;
}

}  // namespace maas::bindings
