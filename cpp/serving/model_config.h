// A model's configuration in the words that clients of this protocol know.
#pragma once

#include <string>

#include "serving/batcher.h"
#include "serving/servable.h"

namespace maas::serving {

const char* config_type(Datatype t);  // "TYPE_FP32"
int config_type_number(Datatype t);   // of the enum in the gRPC messages
std::string config_json(const ModelInfo& info, const BatcherOptions& options);

}  // namespace maas::serving
