#pragma once
#include "graph/op.h"

// Ops that hold sub-Graphs. How the runtime follows them is said in graph/op.h at Control.
namespace maas {

// outputs = bodies[i](captures...), i = the first input: an integer (clipped to the bodies there are) or a bool.
struct Branch {
  Bodies bodies;
  MAAS_PARAMS(bodies)
  bool lowered = false;
  Specs infer(const Inputs& in) const;
  int visible_outputs() const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  Control control() const { return {Control::branch, bodies}; }
};

// Carried values c and stacked outputs z of: for t in turns: c, z[t] = bodies[0](c, slices[t]..., captures...)
// while bodies[1](c, captures...), at most `length` turns (empty: any number). Behind the visible outputs come the
// number of turns and the carried values before every turn, which the gradient reads.
struct Loop {
  Bodies bodies;
  int carries = 0, slices = 0;
  Shape length;
  bool counted = false, reverse = false;
  MAAS_PARAMS(bodies, carries, slices, length, counted, reverse)
  bool lowered = false;
  Specs infer(const Inputs& in) const;
  int visible_outputs() const;
  Nodes gradient(const Node& y, const Nodes& dys, const Needs& needs) const;
  Nodes lower(const Node& y) const;
  Control control() const;

  bool conditional() const { return bodies.size() > 1; }
  int stacked() const { return visible_outputs() - carries; }
};

// A Graph under construction: inputs with the specs of other values.
struct BodyBuilder {
  Graph graph;
  Node input(const Spec& like);
  Nodes inputs(const Nodes& like);
  Body finish(Nodes outputs);
};

// Moves work that `moves` allows out of `bodies`: what depends on no input of `varying` is computed once, from
// `captures`, which gets the results as further inputs of all bodies. `fixed[b]` is how many leading inputs of body b
// are no captures.
void hoist(std::vector<Graph>& bodies, const std::vector<size_t>& fixed, Nodes& captures,
           const std::function<bool(const Node& capture)>& stays,
           const std::function<bool(const NodeData& node)>& moves);
// Captures that no body reads are dropped.
void drop_unread(std::vector<Graph>& bodies, const std::vector<size_t>& fixed, Nodes& captures);
Bodies share(std::vector<Graph> bodies);

}  // namespace maas
