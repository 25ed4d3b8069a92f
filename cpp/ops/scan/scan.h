#pragma once
#include "graph/op.h"
#include "ops/scan/scan_kernels.h"

namespace maas {

// y = sums of x up to each place along one axis. Booleans and small integers are summed as `sum` does.
struct Cumsum {
  int64_t axis = 0;
  bool reverse = false;
  MAAS_PARAMS(axis, reverse)
  using Args = ScanArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  int in_place(int) const { return 0; }
  bool accepts(const KernelRow& row, const Specs& in, const Specs& out) const;
  void bind(const Bind& b, const KernelRow& row, ScanArgs& a) const;
  int64_t units(const ScanArgs& a) const;
  double work(const ScanArgs& a) const;
};

// y[j] = a[j] y[j-1] + b[j] along one axis. Its gradients are linear scans again, without a division.
struct LinearScan {
  int64_t axis = 0;
  bool reverse = false;
  MAAS_PARAMS(axis, reverse)
  using Args = LinearScanArgs;
  static const KernelTable& kernels();

  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  int in_place(int) const { return 1; }
  bool accepts(const KernelRow&, const Specs& in, const Specs&) const { return is_readable(in[0].dtype); }
  void bind(const Bind& b, LinearScanArgs& a) const;
  int64_t units(const LinearScanArgs& a) const { return a.outer * a.inner; }
  double work(const LinearScanArgs& a) const { return static_cast<double>(a.outer * a.inner * a.size) * 3; }
};

}  // namespace maas
