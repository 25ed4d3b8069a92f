// The limits that a container puts on this process; version 2 and version 1 of Linux control groups.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace maas {

// Where to look; tests point these at a folder of their own.
struct CgroupPaths {
  std::string self = "/proc/self/cgroup";
  std::string root = "/sys/fs/cgroup";
};

// CPUs the quota allows (2.5 means two and a half), the least over this group and its parents. Empty: no quota.
std::optional<double> cgroup_cpus(const CgroupPaths& paths = {});

struct CgroupMemory {
  int64_t limit, used;  // bytes; `used` without page cache that the kernel can drop
};
// The group, of this one and its parents, with the least memory left. Empty: no limit.
std::optional<CgroupMemory> cgroup_memory(const CgroupPaths& paths = {});

}  // namespace maas
