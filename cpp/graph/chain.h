#pragma once
#include <cstdint>
#include <string>
#include <vector>

namespace maas {

// Fused elementwise work as data, in SSA form: values 0..inputs-1 are the inputs, value inputs+i is the result of step
// i. `fn` numbers the lines of ops/elementwise/functions.inc. The last step is the result.
struct ChainStep {
  int16_t fn;
  int16_t arg[3];  // -1 where unused
  bool operator==(const ChainStep&) const = default;
};

struct Chain {
  static constexpr int max_steps = 12;
  int inputs = 0;
  std::vector<ChainStep> steps;
  bool empty() const { return steps.empty(); }
  bool operator==(const Chain&) const = default;
};

// Text form, so that a chain is an op parameter like any other: "2;17:0,1;3:2".
std::string to_text(const Chain& chain);
Chain parse_chain(const std::string& text);

}  // namespace maas
