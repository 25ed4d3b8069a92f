#include "serving/program_servable.h"

#include "core/error.h"

namespace maas::serving {
namespace {

Datatype protocol_type(DType t) {
  switch (t) {
    case DType::b8:
      return Datatype::boolean;
    case DType::u8:
      return Datatype::uint8;
    case DType::u16:
      return Datatype::uint16;
    case DType::u32:
      return Datatype::uint32;
    case DType::u64:
      return Datatype::uint64;
    case DType::i8:
      return Datatype::int8;
    case DType::i16:
      return Datatype::int16;
    case DType::i32:
      return Datatype::int32;
    case DType::i64:
      return Datatype::int64;
    case DType::f16:
      return Datatype::fp16;
    case DType::bf16:
      return Datatype::bf16;
    case DType::f32:
      return Datatype::fp32;
    case DType::f64:
      return Datatype::fp64;
    default:
      fail(ErrorKind::type, "no serving protocol carries dtype ", t);
  }
}

TensorSpec describe(const Spec& spec, const std::string& name) {
  TensorSpec t{name, protocol_type(spec.dtype), {}};
  for (const Dim& d : spec.shape) t.shape.push_back(d.is_constant() ? d.constant() : -1);
  return t;
}

// Whether the first size of all inputs and outputs is one and the same. A free size alone does not say so: `x[:1]` and
// `repeat(x, 2, 0)` have one too.
bool same_rows(const Plan& plan) {
  const Dim* rows = nullptr;
  for (const auto* list : {&plan.inputs, &plan.outputs}) {
    for (const int v : *list) {
      const maas::Shape& shape = plan.values[static_cast<size_t>(v)].spec.shape;
      if (shape.empty() || shape[0].as_symbol() == nullptr || (rows != nullptr && !(shape[0] == *rows))) return false;
      rows = &shape[0];
    }
  }
  return true;
}

// Input arrays are as large as the batch may get; a run sees their first rows.
struct ProgramBatch final : Batch {
  std::vector<Array> inputs, outputs;
  bool batched = true;
  void* input(size_t i) override { return inputs[i].data(); }
  const void* output(size_t i) const override { return outputs[i].data(); }
  Shape output_row_shape(size_t i) const override {
    const auto& shape = outputs[i].shape;
    return {shape.begin() + (batched ? 1 : 0), shape.end()};
  }
};

}  // namespace

ProgramServable::ProgramServable(std::shared_ptr<Program> program, std::string name, std::string version,
                                 const std::vector<std::string>& input_names,
                                 const std::vector<std::string>& output_names)
    : program_(std::move(program)) {
  const Plan& plan = program_->plan();
  check(input_names.size() == plan.inputs.size() && output_names.size() == plan.outputs.size(), "serving: model '",
        name, "' has ", plan.inputs.size(), " inputs and ", plan.outputs.size(), " outputs, received ",
        input_names.size(), " and ", output_names.size(), " names");
  info_.name = std::move(name);
  info_.version = std::move(version);
  info_.platform = "maas";
  for (size_t i = 0; i < input_names.size(); ++i)
    info_.inputs.push_back(describe(plan.values[static_cast<size_t>(plan.inputs[i])].spec, input_names[i]));
  for (size_t i = 0; i < output_names.size(); ++i)
    info_.outputs.push_back(describe(plan.values[static_cast<size_t>(plan.outputs[i])].spec, output_names[i]));
  info_.rows_match = same_rows(plan);
  for (const VariablePtr& v : plan.reads) weights_bytes_ += static_cast<int64_t>(v->raw().bytes());
  for (size_t i = 0; i < plan.values.size(); ++i) {
    const PlanValue& v = plan.values[i];
    if (v.place == Place::constant && v.root == static_cast<int>(i))
      weights_bytes_ += static_cast<int64_t>(v.constant.bytes());
  }
}

std::unique_ptr<Batch> ProgramServable::make_batch(int64_t capacity, const std::vector<Shape>& row_shapes) {
  auto batch = std::make_unique<ProgramBatch>();
  batch->batched = info_.batched();
  const Plan& plan = program_->plan();
  for (size_t i = 0; i < row_shapes.size(); ++i) {
    Shape shape = row_shapes[i];
    if (batch->batched) shape.insert(shape.begin(), capacity);
    batch->inputs.emplace_back(plan.values[static_cast<size_t>(plan.inputs[i])].spec.dtype, shape);
  }
  return batch;
}

void ProgramServable::run(Batch& b, int64_t rows) {
  auto& batch = static_cast<ProgramBatch&>(b);
  std::vector<Array> inputs = batch.inputs;  // the same buffers under the sizes of this run
  if (batch.batched)
    for (Array& a : inputs) a.shape[0] = rows;
  batch.outputs = program_->run(inputs);
  if (!batch.batched) return;
  // The server cuts answers out of the outputs by row number.
  for (const Array& a : batch.outputs) {
    if (a.shape.empty() || a.shape[0] != rows)
      fail(ErrorKind::runtime, "serving: an output has not one row per input row");
  }
}

}  // namespace maas::serving
