// fn_<name>: the number of each function of functions.inc, its place in the list.
#pragma once

namespace maas {

enum FnNumber : int {
#define MAAS_FN(name, ...) fn_##name,
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
};

}  // namespace maas
