#include "core/numerics.h"

namespace maas {
namespace {
thread_local Numerics t_numerics;
}

Numerics numerics() { return t_numerics; }
NumericsScope::NumericsScope(Numerics numerics) : before_(t_numerics) { t_numerics = numerics; }
NumericsScope::~NumericsScope() { t_numerics = before_; }

}  // namespace maas
