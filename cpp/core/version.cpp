#include "core/version.h"

namespace maas {

const char* version() { return MAAS_VERSION; }

}  // namespace maas
