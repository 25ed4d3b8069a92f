// Opening what lies in a folder, and nothing outside of it, whatever links the folder holds.
#pragma once

#include "core/export.h"

namespace maas::serving {

// A descriptor of the relative `path` for reading, or -errno. Links may lead to other places of the folder, never out
// of it; where the kernel cannot promise that (before Linux 5.6) there may be no links at all, which is also what
// `plain_walk` asks for. Never waits for the writer of a pipe.
MAAS_API int open_beneath(int folder, const char* path, bool plain_walk = false);

}  // namespace maas::serving
