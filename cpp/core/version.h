#pragma once

#include "core/export.h"

namespace maas {

// Version of libmaas, such as "0.1.0". The bindings compare it with their own when they are imported.
MAAS_API const char* version();

}  // namespace maas
