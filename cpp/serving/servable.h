// What the server asks of a model. Implemented over a Plan, over a Python callable, or over a few lines in a test.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "serving/datatype.h"

namespace maas::serving {

using Shape = std::vector<int64_t>;

struct TensorSpec {
  std::string name;
  Datatype datatype = Datatype::fp32;
  Shape shape;  // -1 is a free size
};

struct ModelInfo {
  std::string name;
  std::string version = "1";
  std::string platform = "maas";
  std::vector<TensorSpec> inputs;
  std::vector<TensorSpec> outputs;
  bool rows_match = true;  // false: some output has another number of rows than the inputs

  // Rows of several requests may share one run: the first size of every input and output is the batch.
  bool batched() const {
    if (inputs.empty() || outputs.empty() || !rows_match) return false;
    for (const auto& list : {&inputs, &outputs}) {
      for (const TensorSpec& t : *list) {
        if (t.shape.empty() || t.shape[0] != -1) return false;
      }
    }
    return true;
  }
};

// Memory of one run. Input i holds `capacity` rows of the row shape it was made for, C order, no gaps between rows.
class Batch {
 public:
  virtual ~Batch() = default;
  virtual void* input(size_t i) = 0;
  // Valid after run, until the next run: rows of output i, C order, and the sizes of one row.
  virtual const void* output(size_t i) const = 0;
  virtual Shape output_row_shape(size_t i) const = 0;
};

class Servable {
 public:
  virtual ~Servable() = default;
  virtual const ModelInfo& info() const = 0;

  // Row shapes are concrete. For a model that is not batched() the "row" is the whole tensor and capacity is 1.
  // Throws maas::Error(value) if the sizes do not fit together; the client sees the text.
  virtual std::unique_ptr<Batch> make_batch(int64_t capacity, const std::vector<Shape>& input_row_shapes) = 0;

  // Runs the first `rows` rows. One thread at a time has a batch, but with BatcherOptions::instances above 1 several
  // batches of a model run at the same time. Throws maas::Error: value, type and
  // index are the client's fault (400, text shown), memory 503, not_implemented 501, anything else 500 without text.
  // If the model is batched(), every output has `rows` rows.
  virtual void run(Batch& batch, int64_t rows) = 0;

  // Bytes held for the model outside of its batches; 0 where that is not known.
  virtual int64_t memory_bytes() const { return 0; }

  // True if run() never blocks (no Python, no lock): the server may then call it on an I/O thread when it is short.
  virtual bool may_run_inline() const { return false; }
};

}  // namespace maas::serving
