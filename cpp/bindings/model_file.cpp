// `.maas` files: what writes and reads them.
#include "runtime/model_file.h"

#include "bindings/common.h"

namespace maas::bindings {
namespace {

// The bytes of an array, whatever its dtype, without a copy.
Array as_bytes(const Array& a) {
  Array bytes;
  bytes.dtype = DType::u8;
  bytes.shape = {static_cast<int64_t>(a.bytes())};
  bytes.storage = a.storage;
  return bytes;
}

py::list specs(const Nodes& nodes, const std::vector<std::string>& names) {
  py::list out;
  for (size_t i = 0; i < nodes.size(); ++i)
    out.append(py::make_tuple(names[i], std::string(to_string(nodes[i].dtype())), shape_to_python(nodes[i].shape())));
  return out;
}

}  // namespace

void bind_model_file(py::module_& m) {
  py::class_<ModelWriter>(m, "ModelWriter", "Gathers functions and tensors of a `.maas` file.")
      .def(py::init<>())
      .def(
          "add_function",
          [](ModelWriter& w, const std::string& name, const Trace& trace, const std::vector<py::object>& outputs,
             const std::vector<std::string>& input_names, const std::vector<std::string>& output_names) {
            Nodes nodes;
            for (const auto& o : outputs) nodes.push_back(to_node(o));
            Function f{name, trace.graph(nodes), input_names, output_names};
            check(f.graph.inputs.size() == input_names.size() && nodes.size() == output_names.size(), "function '",
                  name, "' has ", f.graph.inputs.size(), " inputs and ", nodes.size(), " outputs, received ",
                  input_names.size(), " and ", output_names.size(), " names");
            w.add(std::move(f));
          },
          py::arg("name"), py::arg("trace"), py::arg("outputs"), py::arg("input_names"), py::arg("output_names"))
      .def("tensor", &ModelWriter::tensor, py::arg("variable"), py::arg("name"))
      .def("array", [](ModelWriter& w, const std::string& name,
                       const py::object& value) { return w.array(name, to_array(value)); })
      .def("set", &ModelWriter::set)
      .def(
          "encode",
          [](ModelWriter& w) {
            ModelWriter::Encoded encoded;
            {
              py::gil_scoped_release release;
              encoded = w.encode();
            }
            py::list pieces;
            pieces.append(py::bytes(encoded.header));
            for (const Array& a : encoded.data) pieces.append(share_numpy(as_bytes(a)));
            return pieces;
          },
          "The pieces of the file, in order: bytes and arrays of bytes.");

  py::class_<SavedModel, std::shared_ptr<SavedModel>>(m, "SavedModel", "A loaded `.maas` file.")
      .def_static("load", &SavedModel::load, py::arg("path"), py::call_guard<py::gil_scoped_release>())
      .def_property_readonly("metadata", &SavedModel::metadata)
      .def_property_readonly("variables", &SavedModel::variables)
      .def_property_readonly("tensors",
                             [](const SavedModel& s) {
                               py::dict out;
                               for (auto& [name, a] : s.tensors()) out[py::str(name)] = Tensor(std::move(a));
                               return out;
                             })
      .def_property_readonly(
          "functions",
          [](const SavedModel& s) {
            py::dict out;
            for (const Function& f : s.functions())
              out[py::str(f.name)] =
                  py::make_tuple(specs(f.graph.inputs, f.input_names), specs(f.graph.outputs, f.output_names));
            return out;
          },
          "Name -> (inputs, outputs), each a list of (name, dtype, shape).")
      .def("graph", [](const SavedModel& s, const std::string& name) { return s.function(name).graph.str(); })
      .def("program", &SavedModel::program, py::call_guard<py::gil_scoped_release>());
}

}  // namespace maas::bindings
