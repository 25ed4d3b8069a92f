// Ops that only lowering makes: they trust the formats and sizes that lowering gave them.
#pragma once
#include <string>

namespace maas {

// A file that holds such an op is damaged or hostile. Provided by ops/.
bool is_lowered(const std::string& op);

}  // namespace maas
