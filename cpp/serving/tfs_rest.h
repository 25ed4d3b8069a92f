// TensorFlow Serving's REST protocol: predict, classify, regress, metadata and status.
#pragma once

#include <string>

#include "serving/protocol.h"

namespace maas::serving {

const InferProtocol& tfs_predict_protocol();
const InferProtocol& tfs_classify_protocol();
const InferProtocol& tfs_regress_protocol();
std::string tfs_metadata_json(const ModelInfo& info);
std::string tfs_status_json(const ModelInfo& info, bool ready);

}  // namespace maas::serving
