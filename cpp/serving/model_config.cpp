#include "serving/model_config.h"

#include "serving/codec.h"

namespace maas::serving {
namespace {

struct TypeRow {
  Datatype type;
  const char* name;
  int number;
};
constexpr TypeRow kTypes[] = {
    {Datatype::boolean, "TYPE_BOOL", 1},  {Datatype::uint8, "TYPE_UINT8", 2},   {Datatype::uint16, "TYPE_UINT16", 3},
    {Datatype::uint32, "TYPE_UINT32", 4}, {Datatype::uint64, "TYPE_UINT64", 5}, {Datatype::int8, "TYPE_INT8", 6},
    {Datatype::int16, "TYPE_INT16", 7},   {Datatype::int32, "TYPE_INT32", 8},   {Datatype::int64, "TYPE_INT64", 9},
    {Datatype::fp16, "TYPE_FP16", 10},    {Datatype::fp32, "TYPE_FP32", 11},    {Datatype::fp64, "TYPE_FP64", 12},
    {Datatype::bytes, "TYPE_STRING", 13}, {Datatype::bf16, "TYPE_BF16", 14}};

const TypeRow& row_of(Datatype t) {
  for (const TypeRow& r : kTypes) {
    if (r.type == t) return r;
  }
  return kTypes[0];
}

void write_tensors(std::string& out, const std::vector<TensorSpec>& specs, bool batched) {
  out += '[';
  for (const TensorSpec& t : specs) {
    if (out.back() != '[') out += ',';
    out += "{\"name\":";
    write_json_string(out, t.name);
    out.append(",\"data_type\":\"").append(config_type(t.datatype)).append("\",\"dims\":");
    write_json_shape(out, Shape(t.shape.begin() + (batched ? 1 : 0), t.shape.end()));
    out += '}';
  }
  out += ']';
}

}  // namespace

const char* config_type(Datatype t) { return row_of(t).name; }
int config_type_number(Datatype t) { return row_of(t).number; }

std::string config_json(const ModelInfo& info, const BatcherOptions& options) {
  const bool batched = info.batched();
  std::string out = "{\"name\":\"" + info.name + "\",\"platform\":";
  write_json_string(out, info.platform);
  out += ",\"backend\":\"maas\",\"version_policy\":{\"latest\":{\"num_versions\":1}},\"max_batch_size\":";
  // 0: the first size is not the batch, and `dims` has all sizes.
  out += std::to_string(batched ? options.max_batch_size : 0) + ",\"input\":";
  write_tensors(out, info.inputs, batched);
  out += ",\"output\":";
  write_tensors(out, info.outputs, batched);
  if (batched) {
    out +=
        ",\"dynamic_batching\":{\"max_queue_delay_microseconds\":" + std::to_string(options.max_queue_delay_us) + "}";
  }
  return out + "}";
}

}  // namespace maas::serving
