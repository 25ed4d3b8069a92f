// One wire format of an inference request. The request's way through admission, batch and model is the same for all.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serving/codec.h"
#include "serving/metrics.h"
#include "serving/servable.h"

namespace maas::serving {

struct Request;
struct Response;

// One output of a finished request, cut out of its batch.
struct OutputView {
  const TensorSpec* spec = nullptr;
  bool binary = false;
  int64_t classes = 0;  // as OutputChoice says
  Shape shape;
  Datatype datatype = Datatype::fp32;
  const char* data = nullptr;
  int64_t count = 0;  // elements
};

class InferProtocol {
 public:
  virtual ~InferProtocol() = default;
  // `body` has no content encoding left. Throws maas::Error(value) for what is not a valid request.
  virtual void read(const Request& request, std::string_view body, const ModelInfo& info, InferHead& head,
                    InferSink& sink) const = 0;
  // Writes the answer of a run that ended well.
  virtual void render(const ModelInfo& info, const InferHead& head, std::vector<OutputView>& outputs,
                      Response& response) const = 0;
  // FP16 and BF16 can go out although the client did not ask for binary.
  virtual bool carries_halves() const { return false; }
  virtual Transport transport() const { return Transport::http; }
};

const InferProtocol& oip_rest_protocol();

// The raw bytes of an output, as the binary extension and gRPC carry them.
size_t binary_size(const OutputView& o);
void append_binary(std::string& out, const OutputView& o);

// For outputs with `classes`: "value:index" strings of the highest values of each row, in the memory of `texts`.
void classify_outputs(std::vector<OutputView>& outputs, bool batched, std::vector<std::string>& texts,
                      std::vector<std::vector<Bytes>>& elements);

}  // namespace maas::serving
