// The OpenAPI 3.1 document of the data port.
#pragma once

#include <string>

namespace maas::serving {

const std::string& openapi_json();

}  // namespace maas::serving
