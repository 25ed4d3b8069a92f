#include "serving/http_response.h"

#include <cstdio>
#include <ctime>

namespace maas::serving {
namespace {

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 413:
      return "Payload Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Error";
  }
}

}  // namespace

void write_response_head(std::string& out, const Response& response, const std::string& date, KeepAlive keep) {
  out.assign("HTTP/1.1 ").append(std::to_string(response.status)).append(" ").append(reason_of(response.status));
  out.append("\r\nContent-Type: ").append(response.content_type).append("\r\nContent-Length: ");
  out.append(std::to_string(response.body.size())).append("\r\n").append(date).append(response.headers);
  out.append(keep == KeepAlive::closes ? "Connection: close\r\n\r\n"
             : keep == KeepAlive::said ? "Connection: keep-alive\r\n\r\n"
                                       : "\r\n");
}

std::string date_line() {
  char text[64];
  const std::time_t now = std::time(nullptr);
  std::tm t{};
  gmtime_r(&now, &t);
  static constexpr const char* kDays[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr const char* kMonths[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  std::snprintf(text, sizeof text, "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n", kDays[t.tm_wday], t.tm_mday,
                kMonths[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
  return text;
}

}  // namespace maas::serving
