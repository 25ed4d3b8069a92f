#include "core/device.h"

#include <charconv>

#include "core/error.h"

namespace maas {
namespace {
thread_local Device t_current, t_target;
}

std::string to_string(Device device) { return device.is_cpu() ? "cpu" : text("gpu:", device.index); }

Device parse_device(const std::string& name) {
  const size_t colon = name.find(':');
  const std::string kind = name.substr(0, colon);
  Device device;
  if (kind == "gpu" || kind == "cuda")
    device.kind = DeviceKind::cuda;
  else if (kind != "cpu")
    fail(ErrorKind::value, "a device must be 'cpu', 'gpu' or 'gpu:<number>', received '", name, "'");
  if (colon == std::string::npos) return device;
  const char *first = name.data() + colon + 1, *last = name.data() + name.size();
  const auto [end, error] = std::from_chars(first, last, device.index);
  if (error != std::errc() || end != last || device.index < 0 || (device.is_cpu() && device.index))
    fail(ErrorKind::value, "a device must be 'cpu', 'gpu' or 'gpu:<number>', received '", name, "'");
  return device;
}

Device current_device() { return t_current; }
void set_current_device(Device device) { t_current = device; }
DeviceScope::DeviceScope(Device device) : before_(t_current) { t_current = device; }
DeviceScope::~DeviceScope() { t_current = before_; }

Device target() { return t_target; }
TargetScope::TargetScope(Device device) : before_(t_target) { t_target = device; }
TargetScope::~TargetScope() { t_target = before_; }

}  // namespace maas
