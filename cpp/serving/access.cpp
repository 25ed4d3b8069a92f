#include "serving/access.h"

#include <algorithm>
#include <cmath>
#include <ctime>

#include "core/error.h"
#include "core/sha256.h"

namespace maas::serving {
namespace {

// `*` in a pattern stands for any text. Linear in both: only the last star is ever tried again.
bool matches(std::string_view pattern, std::string_view text) {
  size_t p = 0, t = 0, star = std::string_view::npos, from = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      from = t;
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p;
      ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++from;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

// The key of "Bearer KEY"; empty if the header is not that.
std::string_view bearer(std::string_view authorization) {
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() || authorization.size() > 256) return {};
  for (size_t i = 0; i < kScheme.size(); ++i) {
    const char c = authorization[i];
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kScheme[i]) return {};
  }
  return authorization.substr(kScheme.size());
}

// Keys read maas_<id>_<secret>. The id only finds the row; what is compared is the hash of the whole.
std::string_view id_of(std::string_view key) {
  constexpr std::string_view kStart = "maas_";
  if (!key.starts_with(kStart)) return {};
  key.remove_prefix(kStart.size());
  const size_t n = key.find('_');
  return n == std::string_view::npos ? std::string_view() : key.substr(0, n);
}

Decision denial(int status, const char* text, int retry_after = 0) {
  Decision d;
  d.status = status;
  d.text = text;
  d.retry_after = retry_after;
  return d;
}

// Such a route needs a key although no file of keys is there.
bool changes(const RouteRow& row) { return (row.scopes & ~kChanges) == 0; }

}  // namespace

Scopes find_scope(std::string_view name) {
  if (name == "infer") return kInfer;
  if (name == "read") return kRead;
  if (name == "manage") return kManage;
  if (name == "admin") return kAdmin;
  return 0;
}

bool Key::sees(std::string_view model) const {
  for (const std::string& p : models) {
    if (matches(p, model)) return true;
  }
  return false;
}

bool Key::sees_all() const {
  for (const std::string& p : models) {
    if (p == "*") return true;
  }
  return false;
}

double KeyUse::take(double rate, double burst, Clock::time_point now) {
  if (rate <= 0) return 0;
  std::lock_guard lock(mutex);
  const double most = std::max(1.0, burst > 0 ? burst : rate);
  tokens = tokens < 0 ? most : std::min(most, tokens + rate * std::chrono::duration<double>(now - filled).count());
  filled = now;
  if (tokens < 1) return (1 - tokens) / rate;
  tokens -= 1;
  return 0;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  volatile unsigned char differs = 0;
  for (size_t i = 0; i < a.size(); ++i) differs = differs | static_cast<unsigned char>(a[i] ^ b[i]);
  return differs == 0;
}

std::shared_ptr<const Access::Ring> Access::ring() const {
  std::lock_guard lock(mutex_);
  return ring_;
}

bool Access::has_keys() const { return !ring()->empty(); }

// Leaves `entry` empty where everybody may.
Decision Access::identify(const RouteRow& row, std::string_view authorization, bool always, Entry& entry) const {
  if (row.scopes == kOpen || !(always || asks())) return {};
  const std::string_view text = bearer(authorization);
  if (text.empty()) return denial(401, "an API key is needed: Authorization: Bearer <key>");
  const auto ring = this->ring();
  const auto it = ring->find(id_of(text));
  Sha256 hash;
  hash.add(text.data(), text.size());
  const std::string digest = hash.hex();
  static const std::string kNone(64, 'x');
  // An unknown id takes the same steps as a wrong secret, and gets the same answer.
  const bool known = it != ring->end();
  if (!equal_in_constant_time(digest, known ? it->second.key->sha256 : kNone) || !known)
    return denial(401, "the API key is not valid");
  const Key& key = *it->second.key;
  if (key.expires != 0 && std::time(nullptr) >= key.expires) return denial(401, "the API key is not valid");
  if ((key.scopes & row.scopes) == 0) return denial(403, "the API key has not the scope for this");
  entry = it->second;
  return {};
}

Decision Access::decide(const RouteRow& row, std::string_view model, std::string_view authorization, bool always) {
  Entry entry;
  Decision known = identify(row, authorization, always, entry);
  if (!entry.key) return known;
  const Key& key = *entry.key;
  if (row.every_model ? !key.sees_all() : !model.empty() && !key.sees(model))
    return denial(403, "the API key is not for this model");
  KeyUse& use = *entry.use;
  if (use.in_flight.fetch_add(1, std::memory_order_relaxed) >= max_in_flight_) {
    use.in_flight.fetch_sub(1, std::memory_order_relaxed);
    return denial(429, "the API key has too many requests in flight", 1);
  }
  Decision d;
  d.hold = KeyHold(entry.use);
  if (const double wait = use.take(key.rate, key.burst, Clock::now()); wait > 0) {
    return denial(429, "the API key is over its rate", static_cast<int>(std::ceil(std::min(wait, 3600.0))));
  }
  d.key = entry.key;
  return d;
}

Decision Access::counted(Decision d) {
  if (d.status != 200) failures[d.status == 401 ? 0 : d.status == 403 ? 1 : 2].fetch_add(1, std::memory_order_relaxed);
  return d;
}

Decision Access::authorise(const Route& route, std::string_view authorization, Plane plane) {
  const RouteRow& row = row_of(route.id);
  return counted(decide(row, route.model, authorization, plane == kManagement || changes(row)));
}

Decision Access::admits(RouteId route, std::string_view authorization) {
  Entry entry;
  const RouteRow& row = row_of(route);
  return counted(identify(row, authorization, changes(row), entry));
}

}  // namespace maas::serving
