// The head of an HTTP/1 response as text.
#pragma once

#include <string>

#include "serving/service.h"

namespace maas::serving {

enum class KeepAlive : uint8_t { implied, said, closes };  // what the Connection header says; implied: it is left out

// Writes status line and headers to `out`, which keeps its memory. `date` is a complete header line.
void write_response_head(std::string& out, const Response& response, const std::string& date, KeepAlive keep);

std::string date_line();  // "Date: Mon, 01 Jan 2024 00:00:00 GMT\r\n"

}  // namespace maas::serving
