// A run of a Program on a GPU: operands go there, results stay or come back.
#include "core/gpu.h"
#include "runtime/gpu_run.h"
#include "runtime/program.h"

namespace maas {
namespace {
constexpr size_t kDirect = size_t{256} << 10;  // bytes; a copy of less costs next to nothing
}

void Program::run_gpu(Context& context, const std::vector<Array>& inputs, const RunOptions& options, MemoryClaim& claim,
                      std::vector<Array>& outputs) {
  const Device device = plan_->device;
  // Large arrays are used where they are; small ones are copied to a fixed place, so that one graph serves all calls.
  const bool alone = plan_->steps.size() <= 1;
  const auto direct = [&](size_t bytes) { return alone || bytes >= kDirect; };
  std::vector<std::byte*> from, to;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const bool here = inputs[i].device() == device;
    const auto data = static_cast<std::byte*>(inputs[i].data());
    if (here && (context.came_before(i, data) || direct(inputs[i].bytes()))) {
      from.push_back(data);
      continue;
    }
    from.push_back(context.fixed_input(i));
    if (here)
      gpu().copy(device.index, from[i], inputs[i].data(), inputs[i].bytes());
    else
      gpu().upload(device.index, from[i], inputs[i].host().data(), inputs[i].bytes());
  }
  std::vector<Array> results(plan_->outputs.size());
  std::vector<bool> copied(plan_->outputs.size());
  for (size_t i = 0; i < plan_->outputs.size(); ++i) {
    const int v = plan_->outputs[i];
    copied[i] = !options.keep_on_device || !direct(context.bytes_of(v));
    if (options.keep_on_device)
      results[i] = Array(plan_->values[static_cast<size_t>(v)].spec.dtype, context.shape_of(v), device);
    to.push_back(copied[i] ? context.fixed_output(i) : static_cast<std::byte*>(results[i].data()));
  }
  context.bind_addresses(from, to);
  context.bind_steps(claim);
  std::vector<std::byte*> addresses = from;
  addresses.insert(addresses.end(), to.begin(), to.end());
  context.gpu_run()->select(std::move(addresses));
  work_ns_.store(context.work_ns(), std::memory_order_relaxed);
  if (!plan_->prepare.empty() && prepared_epoch_.load(std::memory_order_acquire) != Variable::epoch()) prepare(options);
  Commit writing;
  execute(context, plan_->commit, options, plan_->writes.empty() ? nullptr : &writing);
  for (const CommitCopy& c : plan_->copies)
    gpu().copy(device.index, c.variable->raw().data(), context.address(c.value), context.bytes_of(c.value));
  for (const auto& v : plan_->writes) v->touch();
  outputs.clear();
  for (size_t i = 0; i < plan_->outputs.size(); ++i) {
    const int v = plan_->outputs[i];
    if (options.keep_on_device) {
      if (copied[i]) gpu().copy(device.index, results[i].data(), to[i], results[i].bytes());
      outputs.push_back(std::move(results[i]));
    } else {
      outputs.emplace_back(plan_->values[static_cast<size_t>(v)].spec.dtype, context.shape_of(v));
      gpu().download(device.index, outputs.back().data(), to[i], outputs.back().bytes());
    }
  }
}

}  // namespace maas
