// ModelInfer of the Open Inference Protocol over gRPC: its messages, read and written by hand.
#include <cstring>
#include <limits>
#include <optional>
#include <vector>

#include "serving/grpc_service.h"
#include "serving/json_words.h"
#include "serving/proto_wire.h"
#include "serving/protocol.h"
#include "serving/service.h"

namespace maas::serving {
namespace {

using wire::Reader;
using wire::Type;

// Fields of InferTensorContents.
enum Contents : uint32_t { kBool = 1, kInt = 2, kInt64 = 3, kUint = 4, kUint64 = 5, kFp32 = 6, kFp64 = 7, kBytes = 8 };

uint32_t contents_field(Datatype t) {
  switch (t) {
    case Datatype::boolean:
      return kBool;
    case Datatype::int8:
    case Datatype::int16:
    case Datatype::int32:
      return kInt;
    case Datatype::int64:
      return kInt64;
    case Datatype::uint8:
    case Datatype::uint16:
    case Datatype::uint32:
      return kUint;
    case Datatype::uint64:
      return kUint64;
    case Datatype::fp32:
      return kFp32;
    case Datatype::fp64:
      return kFp64;
    case Datatype::bytes:
      return kBytes;
    default:
      refuse(std::string(datatype_name(t)) + " has no typed contents, send it as raw_input_contents");
  }
}

// An InferParameter.
struct Parameter {
  std::string_view key;
  enum class Kind : uint8_t { none, boolean, integer, other } kind = Kind::none;
  uint64_t number = 0;
};

Parameter read_parameter(std::string_view entry) {
  Parameter p;
  for (Reader r(entry); r.next();) {
    if (r.is(1, Type::bytes)) p.key = r.text;
    if (!r.is(2, Type::bytes)) continue;
    for (Reader v(r.text); v.next();) {
      if (v.is(1, Type::varint)) p.kind = Parameter::Kind::boolean, p.number = v.number;
      if (v.is(2, Type::varint) || v.is(5, Type::varint)) p.kind = Parameter::Kind::integer, p.number = v.number;
      if (v.is(3, Type::bytes) || v.is(4, Type::fixed64)) p.kind = Parameter::Kind::other;
    }
  }
  return p;
}

int64_t non_negative(const Parameter& p, const char* what) {
  if (p.kind != Parameter::Kind::integer || p.number > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) {
    refuse(std::string(what) + " must be a non-negative 64-bit integer");
  }
  return static_cast<int64_t>(p.number);
}

void read_request_parameter(std::string_view entry, InferHead& head) {
  const Parameter p = read_parameter(entry);
  if (p.key == "timeout") head.timeout_us = non_negative(p, "timeout");
  if (p.key == "priority") head.priority = non_negative(p, "priority");
}

OutputChoice read_output(std::string_view message) {
  OutputChoice o;
  for (Reader r(message); r.next();) {
    if (r.is(1, Type::bytes)) o.name = std::string(r.text);
    if (!r.is(2, Type::bytes)) continue;
    const Parameter p = read_parameter(r.text);
    if (p.key == "classification") o.classes = non_negative(p, "classification");
    if (p.key.starts_with("shared_memory")) refuse("shared memory is not supported");
  }
  if (o.name.empty()) refuse("outputs: every entry needs a name");
  return o;
}

struct Input {
  std::string name;
  std::optional<Datatype> datatype;
  Shape shape;
  std::vector<std::string_view> contents;  // InferTensorContents; several are one message in parts
};

void add_size(Shape& shape, uint64_t v) {
  if (shape.size() == kMaxRank) refuse("shape: at most 32 sizes are allowed");
  shape.push_back(static_cast<int64_t>(v));
}

Input read_input(std::string_view message) {
  Input in;
  for (Reader r(message); r.next();) {
    if (r.is(1, Type::bytes)) in.name = std::string(r.text.substr(0, 1024));
    if (r.is(2, Type::bytes)) {
      in.datatype = find_datatype(r.text);
      if (!in.datatype) {
        refuse("datatype must be BOOL, UINT8 to UINT64, INT8 to INT64, FP16, BF16, FP32, FP64 or BYTES");
      }
    }
    if (r.is(3, Type::varint)) add_size(in.shape, r.number);
    if (r.is(3, Type::bytes)) {
      for (Reader packed(r.text); packed.more();) add_size(in.shape, packed.varint());
    }
    if (r.is(4, Type::bytes) && read_parameter(r.text).key.starts_with("shared_memory")) {
      refuse("shared memory is not supported");
    }
    if (r.is(5, Type::bytes)) in.contents.push_back(r.text);
  }
  if (in.name.empty() || !in.datatype) refuse("inputs: every entry needs name and datatype");
  return in;
}

// Elements one by one into the memory of a tensor.
class Filler {
 public:
  Filler(const Input& in, InferSink& sink, char* out, int64_t total)
      : in_(in), sink_(sink), out_(out), item_(datatype_size(*in.datatype)), total_(total) {}
  void integer(uint64_t v) {
    switch (*in_.datatype) {
      case Datatype::boolean:
        return narrow<bool, uint64_t>(v);
      case Datatype::int8:
        return narrow<int8_t, int64_t>(v);
      case Datatype::int16:
        return narrow<int16_t, int64_t>(v);
      case Datatype::int32:
        return narrow<int32_t, int64_t>(v);
      case Datatype::uint8:
        return narrow<uint8_t, uint64_t>(v);
      case Datatype::uint16:
        return narrow<uint16_t, uint64_t>(v);
      case Datatype::uint32:
        return narrow<uint32_t, uint64_t>(v);
      default:
        return put(&v);
    }
  }
  void text(std::string_view s) {
    char* kept = sink_.keep(s.size());
    if (!s.empty()) std::memcpy(kept, s.data(), s.size());
    const Bytes b{kept, s.size()};
    put(&b);
  }
  void put(const void* element) {
    if (count_ == total_) wrong_count();
    std::memcpy(out_ + static_cast<size_t>(count_++) * item_, element, item_);
  }
  void end() const {
    if (count_ != total_) wrong_count();
  }

 private:
  template <class T, class Wide>
  void narrow(uint64_t v) {
    const auto wide = static_cast<Wide>(v);
    if (wide < static_cast<Wide>(std::numeric_limits<T>::lowest()) ||
        wide > static_cast<Wide>(std::numeric_limits<T>::max())) {
      refuse("input '" + in_.name + "': element " + std::to_string(count_) + " is out of the range of " +
             std::string(datatype_name(*in_.datatype)));
    }
    const T t = static_cast<T>(wide);
    put(&t);
  }
  [[noreturn]] void wrong_count() const {
    refuse("input '" + in_.name + "': shape " + shape_text(in_.shape) +
           " and the number of elements in contents differ");
  }
  const Input& in_;
  InferSink& sink_;
  char* out_;
  size_t item_;
  int64_t total_, count_ = 0;
};

void read_contents(const Input& in, InferSink& sink) {
  const uint32_t field = contents_field(*in.datatype);
  const int64_t total = element_count(in.shape);
  size_t bytes = 0;
  for (const std::string_view part : in.contents) bytes += part.size();
  // An element takes a byte at least, so a short message cannot ask for much memory.
  if (static_cast<uint64_t>(total) > bytes) {
    refuse("input '" + in.name + "': shape " + shape_text(in.shape) + " and the number of elements in contents differ");
  }
  Filler fill(in, sink, static_cast<char*>(sink.open(in.name, *in.datatype, in.shape)), total);
  const size_t fixed = field == kFp32 ? 4 : field == kFp64 ? 8 : 0;
  for (const std::string_view part : in.contents) {
    for (Reader r(part); r.next();) {
      if (r.field > kBytes) continue;
      if (r.field != field) refuse("input '" + in.name + "': contents of another type than its datatype");
      if (field == kBytes && r.type == Type::bytes) {
        fill.text(r.text);
      } else if (fixed == 0 && r.type == Type::varint) {
        fill.integer(r.number);
      } else if (fixed == 0 && r.type == Type::bytes) {
        for (Reader packed(r.text); packed.more();) fill.integer(packed.varint());
      } else if (fixed != 0 && r.text.size() % fixed == 0 && r.type != Type::varint) {
        for (size_t i = 0; i < r.text.size(); i += fixed) fill.put(r.text.data() + i);
      } else {
        Reader::broken();
      }
    }
  }
  fill.end();
}

void read_raw(const Input& in, std::string_view raw, InferSink& sink) {
  const std::string what = "input '" + in.name + "'";
  const int64_t n = element_count(in.shape);
  if (*in.datatype == Datatype::bytes) {
    if (static_cast<size_t>(n) > raw.size() / 4) refuse(what + ": raw contents end too early");
    auto* to = static_cast<Bytes*>(sink.open(in.name, *in.datatype, in.shape));
    return read_bytes_elements(raw, n, to, sink, what);
  }
  const size_t size = static_cast<size_t>(n) * datatype_size(*in.datatype);
  if (raw.size() != size) {
    refuse(what + ": raw contents must have " + std::to_string(size) + " bytes, received " +
           std::to_string(raw.size()));
  }
  auto* to = static_cast<unsigned char*>(sink.open(in.name, *in.datatype, in.shape));
  std::memcpy(to, raw.data(), size);
  if (*in.datatype == Datatype::boolean) {
    for (size_t i = 0; i < size; ++i) to[i] = to[i] != 0;
  }
}

class GrpcProtocol final : public InferProtocol {
 public:
  bool carries_halves() const override { return true; }
  Transport transport() const override { return Transport::grpc; }

  void read(const Request&, std::string_view body, const ModelInfo& info, InferHead& head,
            InferSink& sink) const override {
    std::vector<Input> inputs;
    std::vector<std::string_view> raw;
    for (Reader r(body); r.next();) {
      if (r.is(3, Type::bytes) && !r.text.empty()) {
        if (r.text.size() > kMaxIdLength) refuse("id must have at most 1024 bytes");
        head.id = std::string(r.text);
      }
      if (r.is(4, Type::bytes)) read_request_parameter(r.text, head);
      if (r.is(5, Type::bytes)) {
        if (inputs.size() == info.inputs.size()) {
          refuse("model '" + info.name + "' takes " + std::to_string(info.inputs.size()) + " inputs, received more");
        }
        inputs.push_back(read_input(r.text));
      }
      if (r.is(6, Type::bytes)) {
        if (head.outputs.size() == kMaxOutputs) refuse("outputs: at most 256 entries are allowed");
        head.chooses_outputs = true;
        head.outputs.push_back(read_output(r.text));
      }
      if (r.is(7, Type::bytes)) {
        if (raw.size() > info.inputs.size()) refuse("more raw_input_contents than inputs");
        raw.push_back(r.text);
      }
    }
    if (!raw.empty() && raw.size() != inputs.size()) refuse("raw_input_contents must be one for each input, or none");
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (raw.empty()) {
        read_contents(inputs[i], sink);
      } else {
        if (!inputs[i].contents.empty()) {
          refuse("input '" + inputs[i].name + "' has contents where raw_input_contents are given");
        }
        read_raw(inputs[i], raw[i], sink);
      }
    }
    check_output_names(head);
  }

  void render(const ModelInfo& info, const InferHead& head, std::vector<OutputView>& outputs,
              Response& response) const override {
    std::string& out = response.body;
    out.clear();
    wire::put_text(out, 1, info.name);
    wire::put_text(out, 2, info.version);
    if (head.id) wire::put_text(out, 3, *head.id);
    for (const OutputView& o : outputs) {
      std::string tensor;
      wire::put_text(tensor, 1, o.spec->name);
      wire::put_text(tensor, 2, datatype_name(o.datatype));
      wire::put_packed(tensor, 3, o.shape);
      wire::put_bytes(out, 5, tensor);
    }
    for (const OutputView& o : outputs) {
      wire::put_tag(out, 6, Type::bytes);
      wire::put_varint(out, binary_size(o));
      append_binary(out, o);
    }
  }
};

}  // namespace

const InferProtocol& grpc_protocol() {
  static const GrpcProtocol protocol;
  return protocol;
}

}  // namespace maas::serving
