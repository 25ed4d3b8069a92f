#include "graph/chain.h"

#include <sstream>

#include "core/error.h"

namespace maas {

std::string to_text(const Chain& chain) {
  std::ostringstream out;
  out << chain.inputs;
  for (const ChainStep& s : chain.steps) {
    out << ";" << s.fn << ":";
    for (int i = 0; i < 3 && s.arg[i] >= 0; ++i) out << (i ? "," : "") << s.arg[i];
  }
  return out.str();
}

Chain parse_chain(const std::string& text_form) {
  Chain chain;
  std::istringstream in(text_form);
  std::string part;
  std::getline(in, part, ';');
  std::istringstream first(part);
  check(static_cast<bool>(first >> chain.inputs), "a chain's text starts with its number of inputs, received '",
        text_form, "'");
  while (std::getline(in, part, ';')) {
    std::istringstream step(part);
    ChainStep s{0, {-1, -1, -1}};
    char separator;
    check(static_cast<bool>(step >> s.fn), "a chain's step starts with its function, received '", text_form, "'");
    for (int i = 0; i < 3 && step >> separator; ++i) step >> s.arg[i];
    const int known = chain.inputs + static_cast<int>(chain.steps.size());
    for (int a : s.arg) check(a < known, "a chain step reads a value that does not exist yet, received ", text_form);
    chain.steps.push_back(s);
  }
  return chain;
}

}  // namespace maas
