#include "graph/op.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <sstream>

#include "core/device.h"
#include "core/error.h"

namespace maas {

bool Op::equals(const Op& other) const { return &info() == &other.info() && params() == other.params(); }

std::string Op::str() const {
  std::string s = name() + "(";
  bool first = true;
  for (const auto& [key, value] : params()) {
    s += (first ? "" : ", ") + key + "=" + to_string(value);
    first = false;
  }
  return s + ")";
}

OpPtr make_op(const std::string& name, const ParamList& params) {
  const OpInfo* info = find_op(name);
  if (!info) fail(ErrorKind::value, "unknown op, received '", name, "'");
  return info->create(params);
}

Node op(const std::string& name, Nodes inputs, const ParamList& params) {
  return apply(make_op(name, params), std::move(inputs));
}

// MAAS_WITHOUT_ROWS="wgmma sm90": GPU rows with one of these words in their names are not chosen, so that what stands
// behind them can be tried.
static bool excluded(const char* row) {
  static const std::vector<std::string> words = [] {
    std::vector<std::string> list;
    const char* given = std::getenv("MAAS_WITHOUT_ROWS");
    std::istringstream in(given ? given : "");
    for (std::string word; in >> word;) list.push_back(word);
    return list;
  }();
  return std::any_of(words.begin(), words.end(), [&](const auto& w) { return std::strstr(row, w.c_str()); });
}

// GPU kernels were not written for these; a plan for a GPU leaves them to the host.
static bool gpu_knows(const Specs& in, const Specs& out) {
  auto known = [](const Spec& s) { return s.dtype != DType::f8e5 && s.dtype != DType::u16 && s.dtype != DType::u64; };
  return std::all_of(in.begin(), in.end(), known) && std::all_of(out.begin(), out.end(), known);
}

Choice choose_row(const Op& op, const Specs& in, const Specs& out) {
  Choice best;
  const KernelTable* table = op.kernels();
  if (!table) return best;
  const bool on_cpu = target().is_cpu();
  // Rows of the CUDA library may come later than a table was first looked at.
  const KernelTable rows = on_cpu ? *table : cuda_kernels(table->name);
  for (const KernelRow& row : rows) {
    if (on_cpu ? !has(active_isa(), row.isa) : (row.flags & cuda_unverified) && !unverified_allowed()) continue;
    if (!on_cpu && excluded(row.name)) continue;
    if (row.isa == Isa::cuda && !gpu_knows(in, out)) continue;
    if (!op.accepts(row, in, out)) continue;
    const double cost = op.cost(row, in, out);
    if (!best.row || cost < best.cost) best = {&row, cost};
  }
  return best;
}

}  // namespace maas
