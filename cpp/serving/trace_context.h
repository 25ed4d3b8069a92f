// W3C Trace Context, https://www.w3.org/TR/trace-context/: which distributed trace a request belongs to.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace maas::serving {

struct TraceContext {
  std::string trace_id, parent_id;  // 32 and 16 hexadecimal digits; empty: the request named no trace
  bool sampled = false;
  bool given() const { return !trace_id.empty(); }
};

// Of a `traceparent` header. One that is not valid counts as none, as the standard says; of versions to come the part
// that this one has is read.
TraceContext read_traceparent(std::string_view header);

// The same trace with this server's own part in it as the parent, for the header `traceresponse` (of the standard's
// draft).
std::string traceresponse(const TraceContext& trace, uint64_t span);

std::string hex16(uint64_t v);
uint64_t new_span_id();  // random, not 0

}  // namespace maas::serving
