#pragma once
#include <vector>

#include "graph/graph.h"

namespace maas {

// Where a value of a segmented graph comes from when it is needed.
struct SegmentValue {
  enum From : uint8_t { input, output, trimmed } from = input;
  int segment = 0;  // of an output
  int index = 0;    // among the graph's inputs, the segment's outputs, or the cuts
};

// The first rows of a padded array, as many as a count says.
struct Cut {
  SegmentValue padded, count;
};

// One graph between two cuts. Its inputs are those of the whole, then all cuts made so far, then values of earlier
// segments: so every size it names is bound.
struct Segment {
  Graph graph;
  std::vector<SegmentValue> inputs;
  int cuts = 0;  // how many are made before it runs
};

// A graph as a list of segments: ops whose shapes depend on values end one (Trim of ops/select). Updates are made by
// the last. One segment: the graph has no such op.
struct Segments {
  std::vector<Segment> list;
  std::vector<Cut> cuts;
  std::vector<SegmentValue> outputs;
};
Segments split(const Graph& graph);
bool ends_segment(const NodeData& node);

}  // namespace maas
