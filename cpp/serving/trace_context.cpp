#include "serving/trace_context.h"

#include <atomic>
#include <random>

namespace maas::serving {
namespace {

// Lower case only, as the standard wants.
bool is_hex(std::string_view s) { return s.find_first_not_of("0123456789abcdef") == std::string_view::npos; }
bool is_zero(std::string_view s) { return s.find_first_not_of('0') == std::string_view::npos; }
int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

}  // namespace

TraceContext read_traceparent(std::string_view h) {
  // version "-" trace id "-" parent id "-" flags
  constexpr size_t kSize = 55;
  if (h.size() < kSize || h[2] != '-' || h[35] != '-' || h[52] != '-') return {};
  const std::string_view version = h.substr(0, 2), trace = h.substr(3, 32), parent = h.substr(36, 16),
                         flags = h.substr(53, 2);
  if (!is_hex(version) || !is_hex(trace) || !is_hex(parent) || !is_hex(flags)) return {};
  if (version == "ff" || is_zero(trace) || is_zero(parent)) return {};
  if (version == "00" ? h.size() != kSize : h.size() > kSize && h[kSize] != '-') return {};
  return {std::string(trace), std::string(parent), (digit(flags[1]) & 1) != 0};
}

std::string traceresponse(const TraceContext& trace, uint64_t span) {
  return "00-" + trace.trace_id + "-" + hex16(span) + (trace.sampled ? "-01" : "-00");
}

std::string hex16(uint64_t v) {
  std::string out(16, '0');
  for (size_t i = 16; i-- > 0; v >>= 4) out[i] = "0123456789abcdef"[v & 15];
  return out;
}

uint64_t new_span_id() {
  static const uint64_t seed = [] {
    std::random_device device;
    return (uint64_t{device()} << 32) ^ device();
  }();
  static std::atomic<uint64_t> count{0};
  // splitmix64: distinct for distinct counts.
  uint64_t z = seed + count.fetch_add(1, std::memory_order_relaxed) * 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  z ^= z >> 31;
  return z != 0 ? z : 1;
}

}  // namespace maas::serving
