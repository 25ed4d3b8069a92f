// Who may do what: API keys, their scopes, models, expiry and rates. One decision for both listeners.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "core/export.h"
#include "serving/metrics.h"
#include "serving/router.h"

namespace maas::serving {

MAAS_API Scopes find_scope(std::string_view name);  // 0: there is no such scope

struct Key {
  std::string id, name, sha256;  // of the whole text of the key, as 64 hexadecimal digits
  Scopes scopes = 0;
  std::vector<std::string> models;  // patterns; * stands for any text
  int64_t expires = 0;              // seconds since 1970, 0: never
  double rate = 0, burst = 0;       // requests a second and at once, 0: no limit

  bool sees(std::string_view model) const;
  bool sees_all() const;
};

// What is counted of one key; it stays while the file is read again.
struct KeyUse {
  std::atomic<int64_t> in_flight{0};
  std::mutex mutex;  // guards the two below
  double tokens = -1;
  Clock::time_point filled;
  double take(double rate, double burst, Clock::time_point now);  // 0, or seconds until the next request may come
};

// One request's place in its key's count of requests in flight.
class KeyHold {
 public:
  KeyHold() = default;
  explicit KeyHold(std::shared_ptr<KeyUse> use) : use_(std::move(use)) {}
  KeyHold(KeyHold&&) = default;
  KeyHold& operator=(KeyHold&& other) noexcept {
    release();
    use_ = std::move(other.use_);
    return *this;
  }
  ~KeyHold() { release(); }
  void release() noexcept {
    if (use_) use_->in_flight.fetch_sub(1, std::memory_order_relaxed);
    use_.reset();
  }

 private:
  std::shared_ptr<KeyUse> use_;
};

struct Decision {
  int status = 200;  // or 401, 403, 429
  const char* text = "";
  int retry_after = 0;             // seconds, with 429
  std::shared_ptr<const Key> key;  // null: no keys are asked for, or the route is open
  KeyHold hold;
};

class MAAS_API Access {
 public:
  explicit Access(int64_t max_in_flight_per_key = 256) : max_in_flight_(max_in_flight_per_key) {}

  // Reads a file of `maas keys`. Throws Error(value) if it is not one, Error(runtime) if it cannot be read; the keys
  // that were there stay.
  void read(const std::string& path);
  // Reads the file again if it has changed since. Errors go to stderr, and the keys that were there stay.
  void refresh() noexcept;
  // A key of this process alone. It does not make `asks` true.
  void add(Key key);
  bool asks() const { return asks_.load(); }  // false: there is no file of keys
  bool has_keys() const;                      // of the file or of this process

  // `authorization` is the value of that header. Without a file of keys whoever reaches the data port may ask models
  // and see them; what changes the server needs a key all the same, and so does everything on the management port.
  Decision authorise(const Route& route, std::string_view authorization, Plane plane = kData);
  // Whether that key may take such a route of the data port for some model; takes nothing of its rate.
  Decision admits(RouteId route, std::string_view authorization);

  RefusalCounts failures{};

 private:
  struct Entry {
    std::shared_ptr<const Key> key;
    std::shared_ptr<KeyUse> use;
  };
  using Ring = std::map<std::string, Entry, std::less<>>;
  Decision identify(const RouteRow& row, std::string_view authorization, bool always, Entry& entry) const;
  Decision counted(Decision decision);
  Decision decide(const RouteRow& row, std::string_view model, std::string_view authorization, bool always);
  std::shared_ptr<const Ring> ring() const;
  void rebuild();

  int64_t max_in_flight_;
  std::atomic<bool> asks_{false};
  mutable std::mutex mutex_;  // guards what follows
  std::shared_ptr<const Ring> ring_ = std::make_shared<const Ring>();
  std::vector<Key> filed_, added_;
  std::string path_, stamp_;
};

// Takes the same time wherever the texts differ.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// Throws Error(value) if other machines reach `host` and it has neither keys nor permission to go without.
MAAS_API void check_host(const std::string& host, bool keys, bool insecure_no_auth);

}  // namespace maas::serving
