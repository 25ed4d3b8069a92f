// The Open Inference Protocol over gRPC, without a gRPC library: the bytes of one request in, of its answer out.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "serving/protocol.h"
#include "serving/service.h"

namespace maas::serving {

const InferProtocol& grpc_protocol();

// Status codes of gRPC.
enum class GrpcCode : int {
  ok = 0,
  invalid_argument = 3,
  deadline_exceeded = 4,
  not_found = 5,
  permission_denied = 7,
  resource_exhausted = 8,
  unimplemented = 12,
  internal = 13,
  unavailable = 14,
  unauthenticated = 16
};

struct GrpcAnswer {
  GrpcCode code = GrpcCode::ok;
  std::string message;  // of an error
  std::string body;
  std::string traceresponse;  // metadata of the answer; empty: the client named no trace
};

// Who calls, and how long it will wait.
struct GrpcClient {
  std::string_view authorization, traceparent;  // metadata of these names
  std::string_view peer;
  double seconds = 0;  // 0: as long as the server allows
};

// One call whose right has been checked.
struct GrpcCall {
  Route route;
  std::string_view message;
  std::shared_ptr<const Key> key;
  Clock::duration time_limit;
};

}  // namespace maas::serving
