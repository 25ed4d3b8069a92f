#include "runtime/host_step.h"

#include <utility>

#include "core/error.h"
#include "core/gpu.h"
#include "runtime/program.h"

namespace maas {
namespace {
constexpr size_t kMostPrograms = 16;
}

HostStep::HostStep(OpPtr op, Specs in, std::vector<bool> read, std::string plan)
    : op_(std::move(op)), in_(std::move(in)), read_(std::move(read)), name_(text(plan, "/", op_->name())) {}
HostStep::~HostStep() = default;

std::shared_ptr<Program> HostStep::program_for(const std::vector<std::vector<int64_t>>& shapes,
                                               const SymbolValues& sizes) {
  std::lock_guard guard(mutex_);
  if (auto it = programs_.find(shapes); it != programs_.end()) return it->second;
  const TargetScope host_target{Device{}};
  const DeviceScope host{Device{}};
  Graph graph;
  // Bodies name the sizes of the graph around them: their operands keep these names, and a run tells them again.
  const bool bodies = op_->control().has_value();
  for (size_t i = 0; i < shapes.size(); ++i)
    graph.inputs.push_back(
        input_node({in_[i].dtype, bodies ? in_[i].shape : to_shape(shapes[i]), {}}, text("operand ", i)));
  const Node result = apply(op_, graph.inputs);
  // A size that no operand has alone is told by the shape of an operand that nobody reads.
  if (bodies)
    for (const auto& [symbol, value] : sizes.items())
      graph.inputs.push_back(input_node({DType::u8, {Dim::symbol(symbol, "size")}, {}}, text("size ", symbol)));
  for (size_t k = 0; k < read_.size(); ++k)
    if (read_[k]) graph.outputs.push_back(result.output(static_cast<int>(k)));
  if (programs_.size() >= kMostPrograms) programs_.erase(programs_.begin());
  return programs_[shapes] = std::make_shared<Program>(graph, name_);
}

void HostStep::run(Device device, const std::vector<Value>& in, const std::vector<Value>& out,
                   const SymbolValues& sizes, const RunOptions& options) {
  std::vector<std::vector<int64_t>> shapes;
  for (const Value& v : in) shapes.push_back(v.shape);
  const auto program = program_for(shapes, sizes);
  std::vector<Array> operands;
  for (size_t i = 0; i < in.size(); ++i) {
    operands.emplace_back(in_[i].dtype, in[i].shape);
    if (op_->input_layout(static_cast<int>(i)) != InputLayout::unused)
      gpu().download(device.index, operands.back().data(), in[i].data, operands.back().bytes());
  }
  while (operands.size() < program->plan().inputs.size())
    operands.emplace_back(DType::u8, std::vector<int64_t>{sizes.items()[operands.size() - in.size()].second});
  RunOptions mine;
  mine.poll = options.poll;
  const std::vector<Array> results = program->run(operands, mine);
  size_t next = 0;
  for (size_t k = 0; k < out.size(); ++k) {
    if (!read_[k]) continue;
    const Array& result = results[next++];
    if (out[k].data) gpu().upload(device.index, out[k].data, result.data(), result.bytes());
  }
}

}  // namespace maas
