#pragma once
#include "core/dim.h"

namespace maas {

// True for 1 and for a size that is 1 or 0, such as that of x[:1]: it broadcasts as 1, guarded against 0.
inline bool at_most_one(const Dim& d) { return d.is_constant() ? d.is(1) : min(d, Dim(1)) == d; }

}  // namespace maas
