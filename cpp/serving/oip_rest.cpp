// Open Inference Protocol v2 over REST: JSON with the binary tensor extension.
#include <charconv>

#include "core/error.h"
#include "serving/json_words.h"
#include "serving/protocol.h"
#include "serving/service.h"

namespace maas::serving {
namespace {

// Length of the JSON part of a body with binary tensors: plain decimal digits, at most the whole body.
size_t json_length(std::string_view header, size_t body) {
  uint64_t n = 0;
  const auto r = std::from_chars(header.data(), header.data() + header.size(), n);
  if (header.empty() || r.ec != std::errc() || r.ptr != header.data() + header.size() || n > body) {
    refuse("Inference-Header-Content-Length must be a number not above the length of the body");
  }
  return static_cast<size_t>(n);
}

class OipRest final : public InferProtocol {
 public:
  void read(const Request& request, std::string_view body, const ModelInfo& info, InferHead& head,
            InferSink& sink) const override {
    if (!request.json_length) return read_infer_request(body, {}, false, head, sink);
    const size_t n = json_length(*request.json_length, body.size());
    if (n == 0) {
      head.binary_output = true;
      return read_raw_request(body, info, sink);
    }
    read_infer_request(body.substr(0, n), body.substr(n), true, head, sink);
  }

  void render(const ModelInfo& info, const InferHead& head, std::vector<OutputView>& outputs,
              Response& response) const override {
    std::string& out = response.body;
    out.clear();
    out.reserve(256);
    out.append("{\"model_name\":\"").append(info.name).append("\",\"model_version\":\"").append(info.version) += '"';
    if (head.id) {
      out += ",\"id\":";
      write_json_string(out, *head.id);
    }
    out += ",\"outputs\":[";
    bool any_binary = false;
    for (const OutputView& o : outputs) {
      out += out.back() == '[' ? "{\"name\":" : ",{\"name\":";
      write_json_string(out, o.spec->name);
      out += ",\"shape\":";
      write_json_shape(out, o.shape);
      out.append(",\"datatype\":\"").append(datatype_name(o.datatype));
      if (o.binary) {
        any_binary = true;
        out.append("\",\"parameters\":{\"binary_data_size\":").append(std::to_string(binary_size(o))).append("}}");
      } else {
        out += "\",\"data\":[";
        write_json_elements(out, o.datatype, o.data, o.count);
        out += "]}";
      }
    }
    out += "]}";
    if (!any_binary) return;
    response.content_type = "application/octet-stream";
    response.headers = "Inference-Header-Content-Length: " + std::to_string(out.size()) + "\r\n";
    for (const OutputView& o : outputs) {
      if (o.binary) append_binary(out, o);
    }
  }
};

}  // namespace

size_t binary_size(const OutputView& o) {
  if (o.datatype == Datatype::bytes) return bytes_elements_size(reinterpret_cast<const Bytes*>(o.data), o.count);
  return static_cast<size_t>(o.count) * datatype_size(o.datatype);
}

void append_binary(std::string& out, const OutputView& o) {
  if (o.datatype == Datatype::bytes) {
    append_bytes_elements(out, reinterpret_cast<const Bytes*>(o.data), o.count);
  } else {
    out.append(o.data, static_cast<size_t>(o.count) * datatype_size(o.datatype));
  }
}

const InferProtocol& oip_rest_protocol() {
  static const OipRest protocol;
  return protocol;
}

}  // namespace maas::serving
