#pragma once
#include <cstdint>
#include <string>

namespace maas {

enum class DeviceKind : uint8_t { cpu, cuda };

struct Device {
  DeviceKind kind = DeviceKind::cpu;
  int index = 0;
  bool is_cpu() const { return kind == DeviceKind::cpu; }
  bool operator==(const Device&) const = default;
};
std::string to_string(Device device);          // "cpu", "gpu:0"
Device parse_device(const std::string& name);  // "cpu", "gpu", "gpu:0", "cuda:0"; ValueError otherwise

// Where this thread makes state, and runs graphs that have none: the cpu outside every scope.
Device current_device();
void set_current_device(Device device);
class DeviceScope {
 public:
  explicit DeviceScope(Device device);
  ~DeviceScope();
  DeviceScope(const DeviceScope&) = delete;

 private:
  Device before_;
};

// What the graph that this thread turns into a Plan will run on: lowering and fusion look at it, as at active_isa().
Device target();
class TargetScope {
 public:
  explicit TargetScope(Device device);
  ~TargetScope();
  TargetScope(const TargetScope&) = delete;

 private:
  Device before_;
};

}  // namespace maas
