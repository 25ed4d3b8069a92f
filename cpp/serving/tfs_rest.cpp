// TensorFlow Serving's REST answers.
#include "serving/tfs_rest.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "serving/base64.h"
#include "serving/json_words.h"
#include "serving/numbers.h"
#include "serving/service.h"
#include "serving/tfs_reader.h"

namespace maas::serving {
namespace {

// Whole numbers get ".0", so that a list of them is read as floating point.
template <class T>
void write_floats(std::string& out, const char* data, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    char b[kMaxElementText + 4];
    const char* end = print_element<T>(data + static_cast<size_t>(i) * sizeof(T), b);
    const std::string_view s(b, static_cast<size_t>(end - b));
    if (i != 0) out += ',';
    out += s;
    if (s.find_first_of(".eNI") == std::string_view::npos) out += ".0";
  }
}

void write_elements(std::string& out, const OutputView& o, const char* data, int64_t n) {
  if (o.datatype == Datatype::fp32) return write_floats<float>(out, data, n);
  if (o.datatype == Datatype::fp64) return write_floats<double>(out, data, n);
  if (o.datatype != Datatype::bytes || !o.spec->name.ends_with("_bytes")) {
    return write_json_elements(out, o.datatype, data, n);
  }
  for (int64_t i = 0; i < n; ++i) {
    out += i == 0 ? "{\"b64\":\"" : ",{\"b64\":\"";
    append_base64(out, reinterpret_cast<const Bytes*>(data)[i].view());
    out += "\"}";
  }
}

// The elements from `data` on as lists of the sizes `shape[axis...]`; a scalar if there are none.
void write_nested(std::string& out, const OutputView& o, size_t axis, const char*& data) {
  const size_t item = datatype_size(o.datatype);
  if (axis == o.shape.size()) {
    write_elements(out, o, data, 1);
    data += item;
    return;
  }
  out += '[';
  if (axis + 1 == o.shape.size()) {
    write_elements(out, o, data, o.shape[axis]);
    data += static_cast<size_t>(o.shape[axis]) * item;
  } else {
    for (int64_t i = 0; i < o.shape[axis]; ++i) {
      if (i != 0) out += ',';
      write_nested(out, o, axis + 1, data);  // as deep as the rank, 32 at most
    }
  }
  out += ']';
}

void write_name(std::string& out, const OutputView& o) {
  if (out.back() != '{') out += ',';
  write_json_string(out, o.spec->name);
  out += ':';
}

int64_t rows_of(const std::vector<OutputView>& outputs) {
  for (const OutputView& o : outputs) {
    if (o.shape.empty()) refuse("Tensor name: " + o.spec->name + " has no shape information");
    if (o.shape[0] != outputs[0].shape[0]) {
      refuse("Tensor name: " + o.spec->name + " has inconsistent batch size: " + std::to_string(o.shape[0]) +
             " expecting batch size: " + std::to_string(outputs[0].shape[0]));
    }
  }
  return outputs[0].shape[0];
}

class TfsProtocol : public InferProtocol {
 public:
  explicit TfsProtocol(TfsMethod method) : method_(method) {}
  void read(const Request&, std::string_view body, const ModelInfo& info, InferHead& head,
            InferSink& sink) const override {
    read_tfs_request(body, method_, info, head, sink);
  }

 private:
  TfsMethod method_;
};

class Predict final : public TfsProtocol {
 public:
  Predict() : TfsProtocol(TfsMethod::predict) {}
  void render(const ModelInfo&, const InferHead& head, std::vector<OutputView>& outputs,
              Response& response) const override {
    std::string& out = response.body;
    if (head.rows_form) {
      write_rows(out, outputs);
    } else {
      out = "{\"outputs\":";
      if (outputs.size() > 1) out += '{';
      for (const OutputView& o : outputs) {
        if (outputs.size() > 1) write_name(out, o);
        const char* data = o.data;
        write_nested(out, o, 0, data);
      }
      if (outputs.size() > 1) out += '}';
    }
    out += '}';
  }

 private:
  static void write_rows(std::string& out, std::vector<OutputView>& outputs) {
    const int64_t rows = rows_of(outputs);
    std::vector<const char*> at;
    for (const OutputView& o : outputs) at.push_back(o.data);
    out = "{\"predictions\":[";
    for (int64_t r = 0; r < rows; ++r) {
      if (r != 0) out += ',';
      if (outputs.size() > 1) out += '{';
      for (size_t i = 0; i < outputs.size(); ++i) {
        if (outputs.size() > 1) write_name(out, outputs[i]);
        write_nested(out, outputs[i], 1, at[i]);
      }
      if (outputs.size() > 1) out += '}';
    }
    out += ']';
  }
};

bool is_float(const OutputView& o) { return o.datatype == Datatype::fp32 || o.datatype == Datatype::fp64; }

class Classify final : public TfsProtocol {
 public:
  Classify() : TfsProtocol(TfsMethod::classify) {}
  void render(const ModelInfo&, const InferHead&, std::vector<OutputView>& outputs, Response& response) const override {
    const auto scores =
        std::find_if(outputs.begin(), outputs.end(), [](const auto& o) { return is_float(o) && o.shape.size() == 2; });
    if (scores == outputs.end()) {
      refuse("Expected a floating point output of shape [batch_size, num_classes] to classify by");
    }
    // An output of strings in the same shape names the classes; without it they have no names.
    const auto names = std::find_if(outputs.begin(), outputs.end(), [&](const auto& o) {
      return o.datatype == Datatype::bytes && o.shape == scores->shape;
    });
    std::string& out = response.body;
    out = "{\"results\":[";
    for (int64_t i = 0; i < scores->count; ++i) {
      const int64_t k = scores->shape[1];
      if (i % k == 0) out += i == 0 ? "[" : ",[";
      out += i % k == 0 ? "[" : ",[";
      const auto at = static_cast<size_t>(i);
      if (names != outputs.end()) {
        write_json_text(out, reinterpret_cast<const Bytes*>(names->data)[at].view());
      } else {
        out += "\"\"";
      }
      out += ',';
      write_elements(out, *scores, scores->data + at * datatype_size(scores->datatype), 1);
      out += i % k == k - 1 ? "]]" : "]";
    }
    out += "]}";
  }
};

class Regress final : public TfsProtocol {
 public:
  Regress() : TfsProtocol(TfsMethod::regress) {}
  void render(const ModelInfo&, const InferHead&, std::vector<OutputView>& outputs, Response& response) const override {
    for (const OutputView& o : outputs) {
      if (!is_float(o) || o.shape.empty() || o.count != o.shape[0]) continue;
      response.body = "{\"results\":[";
      write_elements(response.body, o, o.data, o.count);
      response.body += "]}";
      return;
    }
    refuse("Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " +
           shape_text(outputs[0].shape));
  }
};

struct TfsTypeRow {
  Datatype type;
  const char* name;
};
constexpr TfsTypeRow kTfsTypes[] = {
    {Datatype::boolean, "DT_BOOL"},  {Datatype::uint8, "DT_UINT8"},   {Datatype::uint16, "DT_UINT16"},
    {Datatype::uint32, "DT_UINT32"}, {Datatype::uint64, "DT_UINT64"}, {Datatype::int8, "DT_INT8"},
    {Datatype::int16, "DT_INT16"},   {Datatype::int32, "DT_INT32"},   {Datatype::int64, "DT_INT64"},
    {Datatype::fp16, "DT_HALF"},     {Datatype::bf16, "DT_BFLOAT16"}, {Datatype::fp32, "DT_FLOAT"},
    {Datatype::fp64, "DT_DOUBLE"},   {Datatype::bytes, "DT_STRING"}};

void write_signature(std::string& out, const std::vector<TensorSpec>& specs) {
  out += '{';
  for (const TensorSpec& t : specs) {
    if (out.back() != '{') out += ',';
    write_json_string(out, t.name);
    out += ":{\"dtype\":\"";
    for (const TfsTypeRow& r : kTfsTypes) {
      if (r.type == t.datatype) out += r.name;
    }
    out += "\",\"tensor_shape\":{\"dim\":[";
    for (size_t i = 0; i < t.shape.size(); ++i) {
      out.append(i == 0 ? "" : ",")
          .append("{\"size\":\"")
          .append(std::to_string(t.shape[i]))
          .append("\",\"name\":\"\"}");
    }
    out += "],\"unknown_rank\":false},\"name\":";
    write_json_string(out, t.name + ":0");
    out += '}';
  }
  out += '}';
}

}  // namespace

const InferProtocol& tfs_predict_protocol() {
  static const Predict protocol;
  return protocol;
}
const InferProtocol& tfs_classify_protocol() {
  static const Classify protocol;
  return protocol;
}
const InferProtocol& tfs_regress_protocol() {
  static const Regress protocol;
  return protocol;
}

std::string tfs_metadata_json(const ModelInfo& info) {
  std::string out = "{\"model_spec\":{\"name\":\"" + info.name + "\",\"signature_name\":\"\",\"version\":\"" +
                    info.version +
                    "\"},\"metadata\":{\"signature_def\":{\"signature_def\":{\"serving_default\":{\"inputs\":";
  write_signature(out, info.inputs);
  out += ",\"outputs\":";
  write_signature(out, info.outputs);
  return out + ",\"method_name\":\"tensorflow/serving/predict\"}}}}}";
}

std::string tfs_status_json(const ModelInfo& info, bool ready) {
  // Also what clients of two other protocols look for under the same path.
  return "{\"id\":\"" + info.name + "\",\"object\":\"model\",\"created\":0,\"owned_by\":\"maas\",\"name\":\"" +
         info.name + "\",\"ready\":" + (ready ? "true" : "false") + ",\"model_version_status\":[{\"version\":\"" +
         info.version + "\",\"state\":\"" + (ready ? "AVAILABLE" : "UNLOADING") +
         "\",\"status\":{\"error_code\":\"OK\",\"error_message\":\"\"}}]}";
}

}  // namespace maas::serving
