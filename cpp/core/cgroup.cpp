#include "core/cgroup.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <sstream>
#include <vector>

namespace maas {
namespace {

std::optional<std::string> first_line(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  if (!std::getline(file, line)) return std::nullopt;
  return line;
}

// A number alone; "max" and -1 (no limit) are empty.
std::optional<int64_t> number(const std::string& text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < 0) return std::nullopt;
  return value;
}

std::optional<int64_t> number_in(const std::string& path) {
  const auto line = first_line(path);
  return line ? number(*line) : std::nullopt;
}

// The value behind `key ` in a file such as memory.stat.
int64_t stat_value(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  int64_t value = 0;
  while (file >> name >> value) {
    if (name == key) return value;
  }
  return 0;
}

// Folders of this process's group and its parents, innermost first. controller "" is version 2. In a container the path
// may name folders that cannot be seen from here; reading them finds nothing, and the root is always in the list.
std::vector<std::string> group_folders(const CgroupPaths& paths, const std::string& controller) {
  std::ifstream file(paths.self);
  std::string line, group;
  bool found = false;
  while (!found && std::getline(file, line)) {  // "4:cpu,cpuacct:/group"; version 2 is "0::/group"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::istringstream names(line.substr(first + 1, second - first - 1));
    std::string name;
    if (controller.empty()) found = second == first + 1;
    while (!found && std::getline(names, name, ',')) found = name == controller;
    group = line.substr(second + 1);
  }
  if (!found) return {};
  std::vector<std::string> roots{paths.root};
  if (controller == "cpu") roots = {paths.root + "/cpu", paths.root + "/cpu,cpuacct"};
  if (controller == "memory") roots = {paths.root + "/memory"};
  if (controller.empty()) roots.push_back(paths.root + "/unified");
  std::vector<std::string> folders;
  for (const std::string& root : roots) {
    for (std::string g = group; g.size() > 1; g.resize(g.rfind('/'))) folders.push_back(root + g);
    folders.push_back(root);
  }
  return folders;
}

void keep_least(std::optional<double>& best, double value) { best = best ? std::min(*best, value) : value; }

void keep_tightest(std::optional<CgroupMemory>& best, int64_t limit, int64_t used) {
  if (!best || limit - used < best->limit - best->used) best = CgroupMemory{limit, used};
}

}  // namespace

std::optional<double> cgroup_cpus(const CgroupPaths& paths) {
  std::optional<double> best;
  for (const std::string& folder : group_folders(paths, "")) {
    std::istringstream line(first_line(folder + "/cpu.max").value_or(""));  // "200000 100000" or "max 100000"
    std::string quota;
    double period = 0;
    if (line >> quota >> period && period > 0) {
      if (const auto q = number(quota); q && *q > 0) keep_least(best, double(*q) / period);
    }
  }
  for (const std::string& folder : group_folders(paths, "cpu")) {
    const auto quota = number_in(folder + "/cpu.cfs_quota_us"), period = number_in(folder + "/cpu.cfs_period_us");
    if (quota && period && *quota > 0 && *period > 0) keep_least(best, double(*quota) / double(*period));
  }
  return best;
}

std::optional<CgroupMemory> cgroup_memory(const CgroupPaths& paths) {
  std::optional<CgroupMemory> best;
  for (const std::string& folder : group_folders(paths, "")) {
    const auto limit = number_in(folder + "/memory.max"), used = number_in(folder + "/memory.current");
    if (limit && used) keep_tightest(best, *limit, *used - stat_value(folder + "/memory.stat", "inactive_file"));
  }
  for (const std::string& folder : group_folders(paths, "memory")) {
    const auto limit = number_in(folder + "/memory.limit_in_bytes"),
               used = number_in(folder + "/memory.usage_in_bytes");
    const bool unlimited = !limit || *limit > (int64_t(1) << 60);  // version 1 writes "none" as a huge number
    if (!unlimited && used) {
      keep_tightest(best, *limit, *used - stat_value(folder + "/memory.stat", "total_inactive_file"));
    }
  }
  return best;
}

}  // namespace maas
