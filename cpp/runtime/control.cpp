#include "runtime/control.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "runtime/align.h"

namespace maas {
namespace {

// Turns that a loop without a bound is priced for.
constexpr int64_t kUnknownTurns = 16;
constexpr double kLeastUnknownNs = 1e5;

// Empty buffers have no address; nobody reads or writes them.
void copy_bytes(void* to, const void* from, size_t bytes) {
  if (bytes) std::memcpy(to, from, bytes);
}

}  // namespace

std::shared_ptr<const ControlMemory> plan_control(const PlanStep& step, const SymbolValues& capacity) {
  auto m = std::make_shared<ControlMemory>();
  const Control& c = *step.control;
  auto take = [&](size_t bytes) {
    ControlMemory::Block b{m->total, align(bytes)};
    m->total += b.bytes;
    return b;
  };
  if (c.kind == Control::loop) {
    const Plan& body = *step.bodies[0];
    auto bytes = [&](int value) {
      return static_cast<size_t>(body.values[static_cast<size_t>(value)].bytes.eval(capacity));
    };
    for (int i = 0; i < c.carries; ++i) {
      const size_t n = bytes(body.inputs[static_cast<size_t>(i)]);
      m->carries.push_back({take(n), take(n)});
    }
    for (int i = 0; i < c.slices; ++i)
      m->slices.push_back(take(bytes(body.inputs[static_cast<size_t>(c.carries + i)])));
    for (int i = 0; i < c.stacked; ++i)
      m->stacked.push_back(take(bytes(body.outputs[static_cast<size_t>(c.carries + i)])));
    m->going_on = {take(kAlign), take(kAlign)};
  }
  m->arena = m->total;
  size_t largest = kAlign;
  for (const auto& body : step.bodies) {
    m->bodies.push_back(std::make_shared<const MemoryPlan>(plan_memory(*body, capacity)));
    largest = std::max(largest, m->bodies.back()->arena_bytes);
  }
  take(largest);
  return m;
}

ControlRun::ControlRun(const PlanStep& step, std::shared_ptr<const ControlMemory> memory, std::byte* block)
    : control_(*step.control), memory_(std::move(memory)), block_(block), in_(step.in.size()), out_(step.out.size()) {
  auto make = [&](size_t body) {
    const auto& plan = step.bodies[body];
    return std::make_unique<Context>(plan, plan->steps, memory_->bodies[body], std::vector<Array>{},
                                     block_ + memory_->arena);
  };
  if (is_branch()) {
    for (size_t i = 0; i < step.bodies.size(); ++i) branches_.push_back(make(i));
    return;
  }
  for (int parity = 0; parity < 2; ++parity) {
    body_.push_back(make(0));
    if (step.bodies.size() > 1) condition_.push_back(make(1));
  }
  body_plan_ = step.bodies[0];
  const Plan& body = *body_plan_;
  for (int i = 0; i < control_.carries; ++i) carry_values_.push_back(body.inputs[static_cast<size_t>(i)]);
  for (int i = 0; i < control_.slices; ++i)
    slice_values_.push_back(body.inputs[static_cast<size_t>(control_.carries + i)]);
  for (int i = 0; i < control_.stacked; ++i)
    stacked_values_.push_back(body.outputs[static_cast<size_t>(control_.carries + i)]);
  carry_bytes_.resize(carry_values_.size());
  slice_bytes_.resize(slice_values_.size());
  stacked_bytes_.resize(stacked_values_.size());
}

bool ControlRun::bind_sizes(const SymbolValues& symbols) {
  // No turn for a size that became negative; -1 alone means no bound.
  length_ = control_.length.is(-1) ? -1 : std::max<int64_t>(control_.length.eval(symbols), 0);
  for (auto* list : {&branches_, &body_, &condition_})
    for (auto& context : *list)
      if (!context->bind_sizes(symbols)) return false;
  if (is_branch()) return true;
  const Plan& body = *body_plan_;
  auto measure = [&](const std::vector<int>& values, std::vector<size_t>& bytes, auto room) {
    for (size_t i = 0; i < values.size(); ++i) {
      bytes[i] = static_cast<size_t>(body.values[static_cast<size_t>(values[i])].bytes.eval(symbols));
      if (bytes[i] > room(i)) return false;
    }
    return true;
  };
  return measure(carry_values_, carry_bytes_, [&](size_t i) { return memory_->carries[i][0].bytes; }) &&
         measure(slice_values_, slice_bytes_, [&](size_t i) { return memory_->slices[i].bytes; }) &&
         measure(stacked_values_, stacked_bytes_, [&](size_t i) { return memory_->stacked[i].bytes; });
}

void ControlRun::bind(const BoundValue* in, const BoundValue* out, MemoryClaim& claim) {
  std::copy(in, in + in_.size(), in_.begin());
  std::copy(out, out + out_.size(), out_.begin());
  std::vector<std::byte*> inputs, outputs;
  double turn_ns = 0;
  int64_t meetings = 0;
  team_ = 1;
  scratch_ = 0;
  auto finish = [&](Context& context) {
    context.bind_addresses(inputs, outputs);
    context.bind_steps(claim);
    team_ = std::max(team_, context.team());
    scratch_ = std::max(scratch_, context.scratch_needed());
    for (const Context::Step& s : context.steps())
      if (s.team > 1) meetings += s.phases;
  };
  if (is_branch()) {
    for (size_t i = 1; i < in_.size(); ++i) inputs.push_back(in_[i].data);
    for (const BoundValue& y : out_) outputs.push_back(y.data);
    for (auto& branch : branches_) {
      finish(*branch);
      turn_ns = std::max(turn_ns, branch->work_ns());
    }
    work_ns_ = turn_ns;
    barriers_ = std::max<int64_t>(meetings, 1);
    return;
  }
  const size_t first = control_.counted ? 1 : 0, c = memory_->carries.size(), s = memory_->slices.size();
  for (size_t parity = 0; parity < 2; ++parity) {
    inputs.clear();
    outputs.clear();
    for (const auto& pair : memory_->carries) inputs.push_back(at(pair[parity]));
    for (const auto& pair : memory_->carries) outputs.push_back(at(pair[1 - parity]));
    for (const auto& block : memory_->slices) inputs.push_back(at(block));
    for (const auto& block : memory_->stacked) outputs.push_back(at(block));
    for (size_t i = first + c + s; i < in_.size(); ++i) inputs.push_back(in_[i].data);
    finish(*body_[parity]);
    if (condition_.empty()) continue;
    inputs.erase(inputs.begin() + static_cast<std::ptrdiff_t>(c), inputs.begin() + static_cast<std::ptrdiff_t>(c + s));
    outputs = {at(memory_->going_on[parity])};
    finish(*condition_[parity]);
    ++meetings;
  }
  const int64_t turns = length_ >= 0 ? length_ : kUnknownTurns;
  turn_ns = body_[0]->work_ns() + (condition_.empty() ? 0 : condition_[0]->work_ns());
  work_ns_ = turn_ns * static_cast<double>(turns);
  // It may go on for ever: nobody may take it for a run so short that Ctrl-C can wait.
  if (length_ < 0) work_ns_ = std::max(work_ns_, kLeastUnknownNs);
  barriers_ = std::max<int64_t>(meetings / 2 * turns, 1);
}

Context& ControlRun::chosen() {
  const BoundValue& index = in_[0];
  const int64_t i = index.dtype == DType::b8 ? *reinterpret_cast<const uint8_t*>(index.data) != 0
                                             : *reinterpret_cast<const int32_t*>(index.data);
  return *branches_[static_cast<size_t>(std::clamp<int64_t>(i, 0, static_cast<int64_t>(branches_.size()) - 1))];
}

int64_t ControlRun::bound() const {
  int64_t n = length_ >= 0 ? length_ : std::numeric_limits<int64_t>::max();
  if (control_.counted) n = std::clamp<int64_t>(*reinterpret_cast<const int32_t*>(in_[0].data), 0, n);
  return n;
}

bool ControlRun::goes_on(int64_t turn) const {
  return *reinterpret_cast<const uint8_t*>(at(memory_->going_on[turn & 1]));
}

void ControlRun::begin() {
  const size_t first = control_.counted ? 1 : 0;
  for (size_t i = 0; i < carry_bytes_.size(); ++i)
    copy_bytes(at(memory_->carries[i][0]), in_[first + i].data, carry_bytes_[i]);
}

void ControlRun::before(int64_t turn, int64_t turns) {
  const auto step = static_cast<size_t>(step_of(turn, turns));
  const size_t c = carry_bytes_.size(), first = (control_.counted ? 1 : 0) + c;
  for (size_t i = 0; i < slice_bytes_.size(); ++i)
    copy_bytes(at(memory_->slices[i]), in_[first + i].data + step * slice_bytes_[i], slice_bytes_[i]);
  const size_t saved = c + stacked_bytes_.size() + 1;
  for (size_t i = 0; i < c && saved + i < out_.size(); ++i)
    if (out_[saved + i].data)
      copy_bytes(out_[saved + i].data + step * carry_bytes_[i], at(memory_->carries[i][turn & 1]), carry_bytes_[i]);
}

void ControlRun::after(int64_t turn, int64_t turns) {
  const auto step = static_cast<size_t>(step_of(turn, turns));
  for (size_t i = 0; i < stacked_bytes_.size(); ++i)
    copy_bytes(out_[carry_bytes_.size() + i].data + step * stacked_bytes_[i], at(memory_->stacked[i]),
               stacked_bytes_[i]);
}

void ControlRun::end(int64_t turns) {
  const size_t c = carry_bytes_.size(), z = stacked_bytes_.size();
  for (size_t i = 0; i < c; ++i) copy_bytes(out_[i].data, at(memory_->carries[i][turns & 1]), carry_bytes_[i]);
  if (out_[c + z].data) *reinterpret_cast<int32_t*>(out_[c + z].data) = static_cast<int32_t>(turns);
  auto clear = [&](const BoundValue& y, size_t bytes) {
    const auto done = static_cast<size_t>(turns) * bytes, all = static_cast<size_t>(byte_size(y.dtype, y.size()));
    if (y.data && all > done) std::memset(y.data + done, 0, all - done);
  };
  for (size_t i = 0; i < z; ++i) clear(out_[c + i], stacked_bytes_[i]);
  for (size_t i = 0; i < c && c + z + 1 + i < out_.size(); ++i) clear(out_[c + z + 1 + i], carry_bytes_[i]);
}

}  // namespace maas
