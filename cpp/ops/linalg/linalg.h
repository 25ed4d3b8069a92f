#pragma once
#include "graph/op.h"
#include "ops/linalg/linalg_kernels.h"

// Ops on the last two axes; leading axes are a batch, the same for every operand. They need MAAS_EIGEN.
namespace maas {

struct LinalgBase {
  using Args = LinalgArgs;
  static const KernelTable& kernels();
  int64_t units(const LinalgArgs& a) const { return a.count; }
  double work(const LinalgArgs& a) const;
};

struct Cholesky : LinalgBase {
  bool upper = false;
  MAAS_PARAMS(upper)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

// (a, b) -> x with a x = b, or a^T x = b.
struct Solve : LinalgBase {
  bool transpose = false;
  MAAS_PARAMS(transpose)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct TriangularSolve : LinalgBase {
  bool lower = false, transpose = false;
  MAAS_PARAMS(lower, transpose)
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Det : LinalgBase {
  MAAS_PARAMS()
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Slogdet : LinalgBase {
  MAAS_PARAMS()
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Lu : LinalgBase {
  MAAS_PARAMS()
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Qr : LinalgBase {
  bool complete = false;
  MAAS_PARAMS(complete)
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

// s, u, v^T: s first, because it is what may be wanted alone.
struct Svd : LinalgBase {
  bool full_matrices = true;
  MAAS_PARAMS(full_matrices)
  int visible_outputs() const { return 3; }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Eigh : LinalgBase {
  MAAS_PARAMS()
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

struct Eig : LinalgBase {
  MAAS_PARAMS()
  int visible_outputs() const { return 2; }
  Specs infer(const Inputs& in) const;
  void bind(const Bind& b, LinalgArgs& a) const;
};

}  // namespace maas
