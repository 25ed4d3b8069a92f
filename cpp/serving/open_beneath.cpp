#include "serving/open_beneath.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <string_view>

namespace maas::serving {
namespace {

constexpr int kFlags = O_RDONLY | O_CLOEXEC | O_NONBLOCK;

// One part of the path after another, each of which may be no link.
int walk(int folder, std::string_view path) {
  int at = dup(folder);
  if (at < 0) return -errno;
  while (!path.empty()) {
    const size_t n = path.find('/');
    const std::string part(path.substr(0, n));
    path.remove_prefix(n == std::string_view::npos ? path.size() : n + 1);
    if (part.empty() || part == "." || part == "..") {
      close(at);
      return -EXDEV;
    }
    const int next = openat(at, part.c_str(), kFlags | O_NOFOLLOW | (path.empty() ? 0 : O_DIRECTORY));
    const int error = errno;
    close(at);
    if (next < 0) return -error;
    at = next;
  }
  return at;
}

}  // namespace

int open_beneath(int folder, const char* path, bool plain_walk) {
  if (plain_walk) return walk(folder, path);
  open_how how{};
  how.flags = kFlags;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  const long fd = syscall(SYS_openat2, folder, path, &how, sizeof how);
  if (fd >= 0) return static_cast<int>(fd);
  // EPERM: some sandboxes know the call but not what it does.
  return errno == ENOSYS || errno == EPERM ? walk(folder, path) : -errno;
}

}  // namespace maas::serving
