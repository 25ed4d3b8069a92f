#include "runtime/model_file.h"

#include <charconv>
#include <utility>

#include "core/error.h"
#include "core/numerics.h"

namespace maas {
namespace {

const std::string& need(const std::map<std::string, std::string>& metadata, const char* key) {
  const auto it = metadata.find(key);
  check(it != metadata.end(), "a .maas file has '", key, "' in its metadata, received one without");
  return it->second;
}

void check_format(const Safetensors& file) {
  const std::string& s = need(file.metadata, "maas_format");
  int format = 0;
  const auto [end, error] = std::from_chars(s.data(), s.data() + s.size(), format);
  check(error == std::errc() && end == s.data() + s.size() && format >= 1, "maas_format must be a number, received '",
        s, "'");
  check(format <= kModelFormat, "the file was written by a newer version: this one reads .maas formats up to ",
        kModelFormat, ", received ", format);
}

void check_sums(const Safetensors& file) {
  check(need(file.metadata, "sha256") == file.sha256,
        "the tensors do not match their sha256; the file was damaged or changed, received ", file.sha256);
  check(need(file.metadata, "sha256_header") == file.sha256_header,
        "the header does not match its sha256; the file was damaged or changed, received ", file.sha256_header);
}

}  // namespace

void ModelWriter::set(const std::string& key, const std::string& value) {
  check(key != "maas_format" && key != "graph" && !key.starts_with("sha256"),
        "metadata: the key is reserved, received '", key, "'");
  metadata_[key] = value;
}

ModelWriter::Encoded ModelWriter::encode() {
  metadata_["maas_format"] = std::to_string(kModelFormat);
  metadata_["graph"] = to_json(functions_, names_);
  std::vector<std::pair<std::string, Array>> tensors;
  for (const auto& [name, variable] : names_.variables()) tensors.emplace_back(name, variable->read());
  for (const auto& [name, array] : names_.constants()) tensors.emplace_back(name, array);
  SafetensorsLayout layout = lay_out_safetensors(metadata_, tensors);
  Encoded encoded{std::move(layout.header), {}};
  for (size_t i : layout.order) encoded.data.push_back(std::move(tensors[i].second));
  return encoded;
}

std::shared_ptr<SavedModel> SavedModel::load(const std::string& path) {
  auto model = std::make_shared<SavedModel>();
  model->file_ = read_safetensors(path);
  check_format(model->file_);
  check_sums(model->file_);
  // A state takes the memory that the file was read into, so that weights are held once.
  const TensorSource tensors = [&](const std::string& name, bool take) {
    const auto it = model->file_.tensors.find(name);
    check(it != model->file_.tensors.end(), "the file has no such tensor, received '", name, "'");
    if (!it->second) return model->variables_.at(name)->read();
    if (take && it->second.dtype != DType::u8) return std::exchange(it->second, Array{});  // int4 is stored as bytes
    return it->second;
  };
  model->functions_ = from_json(json::parse(need(model->file_.metadata, "graph")), tensors, model->variables_);
  return model;
}

std::map<std::string, Array> SavedModel::tensors() const {
  std::map<std::string, Array> copies;
  for (const auto& [name, a] : file_.tensors) copies.emplace(name, a ? a.clone() : variables_.at(name)->read());
  return copies;
}

const Function& SavedModel::function(const std::string& name) const {
  std::string known;
  for (const Function& f : functions_) {
    if (f.name == name) return f;
    known += (known.empty() ? "'" : ", '") + f.name + "'";
  }
  fail(ErrorKind::value, "the model has the functions ", known.empty() ? "(none)" : known, ", received '", name, "'");
}

std::shared_ptr<Program> SavedModel::program(const std::string& name) {
  std::lock_guard guard(mutex_);
  auto& program = programs_[name];
  if (!program) {
    const auto accuracy = file_.metadata.find("accuracy");
    const NumericsScope scope({.exact = accuracy != file_.metadata.end() && accuracy->second == "exact"});
    program = std::make_shared<Program>(function(name).graph, name);
  }
  return program;
}

}  // namespace maas
