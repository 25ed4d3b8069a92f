#include "runtime/context.h"

#include <algorithm>

#include "core/error.h"
#include "core/threads.h"
#include "runtime/control.h"
#include "runtime/gpu_run.h"

namespace maas {
namespace {

// A thread is worth asking for this much work, in nanoseconds. The team is formed once a run, in about 1 us, and then
// only meets at barriers of about 0.2 us, so a step of two such parts already gains; nobody waits for a sleeper.
constexpr double kWorkPerThread = 3e3;
// What one thread moves when an op states no cost of its own, in bytes a nanosecond: L2 speed, as arenas are built for
// it.
constexpr double kBytesPerNs = 16;
constexpr double kStepNs = 30;
constexpr size_t kCheckedBytes = size_t{1} << 20;  // less is not worth reading the limits
// How much slower a plain reference is than the vector kernels that ops state their work for.
constexpr double kPlainFactor = 20;

bool has_vector_rows(const Op& op) {
  const KernelTable& table = *op.kernels();
  return std::any_of(table.begin(), table.end(), [](const KernelRow& row) { return row.isa != Isa::none; });
}

}  // namespace

Context::Context(std::shared_ptr<const Plan> plan, const std::vector<PlanStep>& steps,
                 std::shared_ptr<const MemoryPlan> memory, const std::vector<Array>& prepared, std::byte* arena)
    : plan_(std::move(plan)),
      memory_(std::move(memory)),
      body_(arena != nullptr),
      arena_(arena || !plan_->device.is_cpu() ? 0 : memory_->arena_bytes),
      gpu_arena_(plan_->device.is_cpu() ? nullptr : Storage::allocate(memory_->arena_bytes, plan_->device)),
      base_(arena        ? arena
            : gpu_arena_ ? gpu_arena_->data()
                         : static_cast<std::byte*>(arena_.data())) {
  const size_t n = plan_->values.size();
  bound_.resize(n);
  sizes_.resize(n);
  offsets_.resize(n);
  value_steps_.resize(n);
  slot_inputs_.resize(plan_->inputs.size());
  slot_outputs_.resize(plan_->outputs.size());
  for (size_t i = 0; i < n; ++i) {
    const PlanValue& v = plan_->values[i];
    sizes_[i].resize(2 * v.spec.shape.size() + 2);
    auto known = [&, at = size_t{0}](const Dim& d) mutable { sizes_[i][at++] = d.is_constant() ? d.constant() : 0; };
    for (const Dim& d : v.spec.shape) known(d);
    for (const Dim& d : v.layout.strides) known(d);
    known(v.layout.offset);
    known(v.bytes);
    BoundValue& b = bound_[i];
    b.rank = static_cast<int>(v.spec.shape.size());
    b.dtype = v.spec.dtype;
    b.shape = sizes_[i].data();
    b.strides = sizes_[i].data() + b.rank;
    const PlanValue& owner = plan_->values[static_cast<size_t>(v.root)];
    switch (owner.place) {
      case Place::arena:
        b.data = base_ + memory_->value_offset[static_cast<size_t>(v.root)];
        break;
      case Place::state:
        b.data = static_cast<std::byte*>(owner.variable->raw().data());
        break;
      case Place::constant:
        b.data = static_cast<std::byte*>(owner.constant.data());
        break;
      case Place::prepared:
        b.data = static_cast<std::byte*>(prepared[static_cast<size_t>(owner.slot)].data());
        break;
      case Place::input:
        slot_inputs_[static_cast<size_t>(owner.slot)].push_back(static_cast<int>(i));
        break;
      case Place::output:
        slot_outputs_[static_cast<size_t>(owner.slot)].push_back(static_cast<int>(i));
        break;
      case Place::none:
        break;
    }
  }
  run_.resize(steps.size());
  dirty_.assign(steps.size(), 1);
  for (size_t s = 0; s < steps.size(); ++s) {
    const PlanStep& step = steps[s];
    args_.emplace_back(step.op->args_size());
    step.op->construct_args(args_.back().data());
    run_[s].plan = &step;
    run_[s].args = args_.back().data();
    if (step.control)
      run_[s].control = std::make_shared<ControlRun>(step, memory_->control[s], base_ + memory_->control_offset[s]);
    in_.resize(std::max(in_.size(), step.in.size()));
    out_.resize(std::max(out_.size(), step.out.size()));
    for (int v : step.in) value_steps_[static_cast<size_t>(v)].push_back(static_cast<int>(s));
    for (int v : step.out)
      if (v >= 0) value_steps_[static_cast<size_t>(v)].push_back(static_cast<int>(s));
  }
  if (plan_->device.is_cpu()) return;
  gpu_run_ = std::make_unique<GpuRun>(*plan_, steps);
  fixed_inputs_.resize(plan_->inputs.size());
  fixed_outputs_.resize(plan_->outputs.size());
}

std::byte* Context::fixed(std::vector<std::shared_ptr<Storage>>& blocks, size_t slot, const std::vector<int>& values) {
  auto& block = blocks[slot];
  if (!block) {
    const PlanValue& v = plan_->values[static_cast<size_t>(values[slot])];
    block = Storage::allocate(static_cast<size_t>(v.bytes.eval(memory_->capacity)), plan_->device);
  }
  return block->data();
}

size_t Context::held_bytes() const {
  size_t bytes = arena_.size() + scratch_.size();
  for (const auto& block : {gpu_arena_, gpu_scratch_})
    if (block) bytes += block->bytes();
  for (const auto* list : {&fixed_inputs_, &fixed_outputs_})
    for (const auto& block : *list)
      if (block) bytes += block->bytes();
  return bytes;
}

Context::~Context() {
  for (const Step& s : run_) s.plan->op->destroy_args(s.args);
}

bool Context::bind_sizes(const SymbolValues& symbols) {
  if (sized_ && symbols == symbols_) return true;
  symbols_ = symbols;
  evaluated_.resize(plan_->sizes.size());
  // The prepare list is bound without symbols: all its sizes are known.
  if (!symbols.items().empty())
    for (size_t k = 0; k < evaluated_.size(); ++k) evaluated_[k] = plan_->sizes[k].eval(symbols);
  for (size_t i = 0; i < bound_.size(); ++i) {
    const PlanValue& v = plan_->values[i];
    if (value_steps_[i].empty()) continue;  // the other list's business
    const size_t rank = v.spec.shape.size();
    int64_t* sizes = sizes_[i].data();
    bool changed = !sized_;
    for (size_t a = 0; a < v.size_ids.size(); ++a)
      if (const int id = v.size_ids[a]; id >= 0) {
        const int64_t size = evaluated_[static_cast<size_t>(id)];
        changed = changed || sizes[a] != size;
        sizes[a] = size;
      }
    if (!changed) continue;
    // A step is bound again only where a size it sees changed: those of optimizers, say, never do.
    for (int s : value_steps_[i]) dirty_[static_cast<size_t>(s)] = 1;
    for (size_t a = 0; a < rank; ++a)
      if (sizes[a] < 0)
        fail(ErrorKind::value, plan_->name, ": a size became negative (", v.spec.shape[a], "), received ", sizes[a]);
    const int64_t old = offsets_[i];
    offsets_[i] = sizes[2 * rank] * bit_size(v.spec.dtype) / 8;
    if (bound_[i].data) bound_[i].data += offsets_[i] - old;
    if (v.place == Place::arena && v.root == static_cast<int>(i) && v.first >= 0 &&
        static_cast<size_t>(sizes[2 * rank + 1]) > memory_->value_bytes[i])
      return false;
  }
  for (size_t s = 0; s < run_.size(); ++s) {
    if (!run_[s].control) continue;
    if (!run_[s].control->bind_sizes(symbols)) return false;
    dirty_[s] = 1;
  }
  for (size_t s = 0; s < run_.size(); ++s)
    for (size_t w = 0; w < run_[s].plan->workspace.size(); ++w)
      if (static_cast<size_t>(run_[s].plan->workspace[w].eval(symbols)) > memory_->workspace_bytes[s][w]) return false;
  any_dirty_ = true;
  sized_ = resized_ = true;
  return true;
}

void Context::rebase(int value, std::byte* base) {
  BoundValue& b = bound_[static_cast<size_t>(value)];
  std::byte* data = base + offsets_[static_cast<size_t>(value)];
  if (b.data == data) return;
  b.data = data;
  for (int s : value_steps_[static_cast<size_t>(value)]) dirty_[static_cast<size_t>(s)] = 1;
  any_dirty_ = true;
}

void Context::bind_io(const std::vector<Array>& inputs, const std::vector<Array>& outputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    for (int v : slot_inputs_[i]) rebase(v, static_cast<std::byte*>(inputs[i].data()));
  for (size_t i = 0; i < outputs.size(); ++i)
    for (int v : slot_outputs_[i]) rebase(v, static_cast<std::byte*>(outputs[i].data()));
}

void Context::bind_addresses(const std::vector<std::byte*>& inputs, const std::vector<std::byte*>& outputs) {
  for (size_t i = 0; i < inputs.size(); ++i)
    for (int v : slot_inputs_[i]) rebase(v, inputs[i]);
  for (size_t i = 0; i < outputs.size(); ++i)
    for (int v : slot_outputs_[i]) rebase(v, outputs[i]);
}

// Kernels of a GPU cut their work themselves: nothing is asked but the arguments and scratch.
void Context::bind_gpu_steps() {
  size_t scratch = 0;
  for (size_t s = 0; s < run_.size(); ++s) {
    const PlanStep& p = *run_[s].plan;
    if (!p.row) continue;
    if (dirty_[s]) {
      std::byte* workspaces[16];
      check(p.workspace.size() <= 16, p.op->name(), ": more than 16 workspaces, received ", p.workspace.size());
      for (size_t i = 0; i < p.in.size(); ++i) in_[i] = bound_[static_cast<size_t>(p.in[i])];
      for (size_t i = 0; i < p.out.size(); ++i)
        out_[i] = p.out[i] < 0 ? BoundValue{} : bound_[static_cast<size_t>(p.out[i])];
      for (size_t w = 0; w < p.workspace.size(); ++w) workspaces[w] = base_ + memory_->workspace_offset[s][w];
      p.op->bind(Bind(in_.data(), out_.data(), workspaces), *p.row, run_[s].args);
      run_[s].scratch = p.row->scratch ? p.row->scratch(run_[s].args) : 0;
      dirty_[s] = 0;
    }
    scratch = std::max(scratch, run_[s].scratch);
  }
  if (scratch > (gpu_scratch_ ? gpu_scratch_->bytes() : 0)) {
    gpu_scratch_ = Storage::allocate(scratch, plan_->device);
    resized_ = true;
  }
  if (resized_) gpu_run_->forget();
  resized_ = false;
  work_ns_ = 1e6;  // callers drop the GIL: a run may wait for the GPU
  any_dirty_ = false;
}

void Context::bind_steps(MemoryClaim& claim) {
  if (!any_dirty_) return;
  if (gpu_run_) return bind_gpu_steps();
  BoundValue *const in = in_.data(), *const out = out_.data();
  std::byte* workspaces[16];
  size_t scratch = 0;
  for (size_t s = 0; s < run_.size(); ++s) {
    Step& step = run_[s];
    if (dirty_[s]) {
      const PlanStep& p = *step.plan;
      if (p.workspace.size() > 16)
        fail(ErrorKind::not_implemented, p.op->name(), ": more than 16 workspaces, received ", p.workspace.size());
      for (size_t i = 0; i < p.in.size(); ++i) in[i] = bound_[static_cast<size_t>(p.in[i])];
      for (size_t i = 0; i < p.out.size(); ++i)
        out[i] = p.out[i] < 0 ? BoundValue{} : bound_[static_cast<size_t>(p.out[i])];
      for (size_t w = 0; w < p.workspace.size(); ++w) workspaces[w] = base_ + memory_->workspace_offset[s][w];
      if (step.control) {
        step.control->bind(in, out, claim);
        step.phases = step.control->barriers();
        step.units = 1;
        step.scratch = step.control->scratch_needed();
        step.team = step.control->team();
        step.work_ns = step.control->work_ns() + kStepNs;
        dirty_[s] = 0;
        scratch = std::max(scratch, step.scratch);
        continue;
      }
      p.op->bind(Bind(in, out, workspaces), *p.row, step.args);
      step.phases = p.op->phases(step.args);
      step.units = p.op->units(step.args, 0);
      step.scratch = (p.op->scratch(step.args) + 63) / 64 * 64;
      double work = p.op->work(step.args);
      if (work < 0) {
        int64_t bytes = 0;
        for (size_t i = 0; i < p.in.size(); ++i) bytes += byte_size(in[i].dtype, in[i].size());
        for (size_t i = 0; i < p.out.size(); ++i)
          if (out[i].data) bytes += byte_size(out[i].dtype, out[i].size());
        work = static_cast<double>(bytes) / kBytesPerNs * (p.row->isa == Isa::none ? kPlainFactor : 1);
      } else if (p.row->isa == Isa::none && has_vector_rows(*p.op)) {
        work *= kPlainFactor;
      }
      const auto wanted = static_cast<int64_t>(std::min(work / kWorkPerThread, 1024.0));
      int64_t widest = step.units;
      for (int64_t ph = 1; ph < std::min<int64_t>(step.phases, 3); ++ph)
        widest = std::max(widest, p.op->units(step.args, ph));
      step.team = static_cast<int>(std::clamp<int64_t>(wanted, 1, std::max<int64_t>(widest, 1)));
      step.work_ns = work + kStepNs;
      dirty_[s] = 0;
    }
    scratch = std::max(scratch, step.scratch);
  }
  work_ns_ = 0;
  team_ = 1;
  for (const Step& step : run_) team_ = std::max(team_, step.team);
  team_ = alone_ ? 1 : std::min(team_, ThreadPool::instance().size());
  for (const Step& step : run_) work_ns_ += step.work_ns;
  scratch_needed_ = scratch;
  if (body_) {  // the context around has the scratch
    any_dirty_ = false;
    return;
  }
  const size_t stride = std::max(scratch, scratch_stride_);
  if (stride * static_cast<size_t>(team_) > scratch_.size() || stride > scratch_stride_) {
    const size_t bytes = stride * static_cast<size_t>(alone_ ? 1 : ThreadPool::instance().size());
    scratch_ = HostBuffer();
    scratch_stride_ = 0;
    if (bytes > kCheckedBytes) claim.add(bytes, text("Scratch of plan '", plan_->name, "'"));
    scratch_ = HostBuffer(bytes);
    scratch_stride_ = stride;
  }
  any_dirty_ = false;
}

std::vector<int64_t> Context::shape_of(int value) const {
  const BoundValue& b = bound_[static_cast<size_t>(value)];
  return {b.shape, b.shape + b.rank};
}

size_t Context::bytes_of(int value) const {
  const BoundValue& b = bound_[static_cast<size_t>(value)];
  return static_cast<size_t>(byte_size(b.dtype, b.size()));
}

}  // namespace maas
