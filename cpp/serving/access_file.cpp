// The file of keys, as `maas keys` writes it.
#include <sys/stat.h>

#include <array>
#include <boost/json.hpp>
#include <cstdio>
#include <fstream>

#include "core/error.h"
#include "serving/access.h"
#include "serving/file_stamp.h"

namespace maas::serving {
namespace {

namespace boost_json = boost::json;
constexpr size_t kMaxFile = size_t{16} << 20;

[[noreturn]] void bad_file(const std::string& what) { throw Error(ErrorKind::value, "file of keys: " + what); }

const std::string text_of(const boost_json::object& o, const char* name) {
  const boost_json::value* v = o.if_contains(name);
  if (v == nullptr || !v->is_string()) bad_file(std::string("a key needs the text '") + name + "'");
  return std::string(v->get_string());
}

double number_of(const boost_json::object& o, const char* name) {
  const boost_json::value* v = o.if_contains(name);
  if (v == nullptr || v->is_null()) return 0;
  const double n = v->is_number() ? v->to_number<double>() : -1;
  if (!(n > 0 && n < 1e15)) bad_file(std::string("'") + name + "' of a key must be a number above 0");
  return n;
}

std::vector<std::string> list_of(const boost_json::object& o, const char* name) {
  const boost_json::value* v = o.if_contains(name);
  if (v == nullptr || !v->is_array() || v->get_array().empty())
    bad_file(std::string("a key needs the list '") + name + "'");
  std::vector<std::string> out;
  for (const boost_json::value& e : v->get_array()) {
    if (!e.is_string()) bad_file(std::string("'") + name + "' of a key must hold texts");
    out.emplace_back(e.get_string());
  }
  return out;
}

Key key_of(const boost_json::value& v) {
  if (!v.is_object()) bad_file("each key must be an object");
  const boost_json::object& o = v.get_object();
  Key key;
  key.id = text_of(o, "id");
  if (!valid_name(key.id) || key.id.find('_') != std::string::npos) bad_file("the id of a key is not valid");
  if (o.contains("name")) key.name = text_of(o, "name");
  key.sha256 = text_of(o, "sha256");
  if (key.sha256.size() != 64 || key.sha256.find_first_not_of("0123456789abcdef") != std::string::npos)
    bad_file("'sha256' of key '" + key.id + "' must be 64 hexadecimal digits");
  for (const std::string& s : list_of(o, "scopes")) {
    const Scopes scope = find_scope(s);
    if (scope == 0) bad_file("key '" + key.id + "' has a scope that does not exist");
    key.scopes |= scope;
  }
  key.models = list_of(o, "models");
  key.expires = static_cast<int64_t>(number_of(o, "expires"));
  key.rate = number_of(o, "requests_per_second");
  key.burst = number_of(o, "burst");
  return key;
}

std::vector<Key> keys_of(const std::string& text) {
  boost::system::error_code ec;
  const boost_json::value v = boost_json::parse(text, ec);
  if (ec || !v.is_object()) bad_file("it is not a JSON object");
  const boost_json::value* list = v.get_object().if_contains("keys");
  if (list == nullptr || !list->is_array()) bad_file("it has no list 'keys'");
  std::vector<Key> out;
  for (const boost_json::value& k : list->get_array()) out.push_back(key_of(k));
  return out;
}

}  // namespace

void Access::rebuild() {
  auto next = std::make_shared<Ring>();
  std::vector<Key> keys = filed_;
  keys.insert(keys.end(), added_.begin(), added_.end());
  for (Key& k : keys) {
    const auto old = ring_->find(k.id);
    Entry entry{std::make_shared<const Key>(k), old == ring_->end() ? std::make_shared<KeyUse>() : old->second.use};
    if (!next->emplace(k.id, std::move(entry)).second) bad_file("two keys have the id '" + k.id + "'");
  }
  ring_ = std::move(next);
}

void Access::read(const std::string& path) {
  const std::string stamp = stamp_of(path);
  std::ifstream file(path, std::ios::binary);
  std::string text;
  std::array<char, 4096> piece;
  while (text.size() <= kMaxFile && (file.read(piece.data(), piece.size()), file.gcount() > 0)) {
    text.append(piece.data(), static_cast<size_t>(file.gcount()));
  }
  if (stamp.empty() || file.bad() || text.empty())
    throw Error(ErrorKind::runtime, "the file of keys cannot be read, received '" + path + "'");
  if (text.size() > kMaxFile) bad_file("it is larger than 16 MiB");
  std::vector<Key> keys = keys_of(text);
  std::lock_guard lock(mutex_);
  std::swap(filed_, keys);
  try {
    rebuild();
  } catch (...) {
    std::swap(filed_, keys);
    throw;
  }
  asks_ = true;
  path_ = path;
  stamp_ = stamp;
}

void Access::refresh() noexcept {
  try {
    std::string path, stamp;
    {
      std::lock_guard lock(mutex_);
      path = path_;
      stamp = stamp_;
    }
    if (path.empty()) return;
    const std::string now = stamp_of(path);
    if (now.empty() || now == stamp) return;
    {
      std::lock_guard lock(mutex_);
      stamp_ = now;  // a file that cannot be read is said once
    }
    read(path);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "maas: the keys stay as they were: %s\n", e.what());
  }
}

void Access::add(Key key) {
  std::lock_guard lock(mutex_);
  added_.push_back(std::move(key));
  try {
    rebuild();
  } catch (...) {
    added_.pop_back();
    throw;
  }
}

void check_host(const std::string& host, bool keys, bool insecure_no_auth) {
  if (keys || insecure_no_auth || host == "localhost" || host == "::1" || host.starts_with("127.")) return;
  throw Error(ErrorKind::value,
              "without API keys the server listens on loopback only; keys (--keys) or insecure_no_auth "
              "(--insecure-no-auth) allow other addresses, received host '" +
                  host + "'");
}

}  // namespace maas::serving
