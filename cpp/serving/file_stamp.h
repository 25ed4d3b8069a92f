// Whether a file has changed: what differs when a new one is put in its place, or its content is written anew.
#pragma once

#include <sys/stat.h>

#include <string>

namespace maas::serving {

// Empty if there is no such file.
inline std::string stamp_of(const std::string& path) {
  struct stat s{};
  if (stat(path.c_str(), &s) != 0) return {};
  std::string out;
  for (const auto n : {static_cast<int64_t>(s.st_ino), static_cast<int64_t>(s.st_size),
                       static_cast<int64_t>(s.st_mtim.tv_sec), static_cast<int64_t>(s.st_mtim.tv_nsec)}) {
    out += std::to_string(n) + ' ';
  }
  return out;
}

}  // namespace maas::serving
