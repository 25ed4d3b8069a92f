#pragma once

namespace maas {

// How freely the graph that this thread turns into a Plan may be computed: lowering looks at it, as at target().
struct Numerics {
  bool exact = false;   // accuracy="exact", and eager ops: no algorithm that trades error for speed
  bool trains = false;  // the graph trains: its forward pass has none either
};
Numerics numerics();
class NumericsScope {
 public:
  explicit NumericsScope(Numerics numerics);
  ~NumericsScope();
  NumericsScope(const NumericsScope&) = delete;

 private:
  Numerics before_;
};

}  // namespace maas
