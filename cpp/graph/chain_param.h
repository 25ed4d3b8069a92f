#pragma once
#include "graph/chain.h"
#include "graph/params.h"

namespace maas {

// A Chain as an op's parameter: text where ops are printed, compared and saved, steps where they are bound.
inline ParamValue to_param(const Chain& v) { return v.empty() ? std::string() : to_text(v); }
inline void from_param(ParamName name, const ParamValue& value, Chain& out) {
  std::string text;
  from_param(name, value, text);
  out = text.empty() ? Chain() : parse_chain(text);
}

}  // namespace maas
