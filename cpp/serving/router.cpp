#include "serving/router.h"

#include <algorithm>

namespace maas::serving {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool decode(std::string_view in, std::string& out) {
  out.clear();
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] != '%') {
      out += in[i];
      continue;
    }
    if (i + 2 >= in.size()) return false;
    const int high = hex(in[i + 1]), low = hex(in[i + 2]);
    if (high < 0 || low < 0) return false;
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return true;
}

// The text up to the next '/', which both views lose.
std::string_view segment(std::string_view& path) {
  const size_t n = std::min(path.find('/'), path.size());
  const std::string_view s = path.substr(0, n);
  path.remove_prefix(n);
  return s;
}

// Takes ":verb" off the ends of both; false unless `got` ends in the verb that `want` has, in any case of letters.
bool match_verb(std::string_view& want, std::string_view& got) {
  const size_t colon = want.find(':');
  if (colon == std::string_view::npos) return true;
  const std::string_view verb = want.substr(colon);
  if (got.size() <= verb.size()) return false;
  const std::string_view end = got.substr(got.size() - verb.size());
  const auto same = [](char a, char b) { return a == (b >= 'A' && b <= 'Z' ? b + ('a' - 'A') : b); };
  if (!std::equal(verb.begin(), verb.end(), end.begin(), same)) return false;
  want = want.substr(0, colon);
  got.remove_suffix(verb.size());
  return true;
}

bool match(std::string_view pattern, std::string_view path, Route& route) {
  std::string_view model, version, label;
  while (!pattern.empty() && !path.empty()) {
    if (pattern[0] != '/' || path[0] != '/') return false;
    pattern.remove_prefix(1);
    path.remove_prefix(1);
    std::string_view want = segment(pattern), got = segment(path);
    if (!match_verb(want, got)) return false;
    if (got.empty() && !want.empty()) return false;
    if (want == "{m}") {
      model = got;
    } else if (want == "{v}") {
      version = got;
    } else if (want == "{l}") {
      label = got;
    } else if (want != got) {
      return false;
    }
  }
  if (!pattern.empty() || !path.empty()) return false;
  if (model.data() != nullptr && !(decode(model, route.model) && valid_name(route.model))) route.bad_name = true;
  if (version.data() != nullptr && !(decode(version, route.version) && valid_name(route.version)))
    route.bad_name = true;
  if (label.data() != nullptr && !(decode(label, route.label) && valid_name(route.label))) route.bad_name = true;
  return true;
}

// CON, PRN, AUX, NUL, COM1 to COM9 and LPT1 to LPT9, in any case of letters.
bool is_device(std::string_view stem) {
  std::string upper(stem.substr(0, 5));
  for (char& c : upper) c = c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c;
  const bool numbered = upper.size() == 4 && upper[3] >= '1' && upper[3] <= '9';
  return upper == "CON" || upper == "PRN" || upper == "AUX" || upper == "NUL" ||
         (numbered && (upper.starts_with("COM") || upper.starts_with("LPT")));
}

}  // namespace

bool valid_name(std::string_view name) {
  if (name.empty() || name.size() > 128 || name[0] == '.' || name[0] == '-') return false;
  const auto plain = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  };
  return std::all_of(name.begin(), name.end(), plain) && !is_device(name.substr(0, name.find('.')));
}

const RouteRow& row_of(RouteId id) {
  // Whether a route exists is told to those who hold some key.
  static constexpr RouteRow kNone{RouteId::none, "", 0, kAnyKey, 0}, kUnlisted{RouteId::none, "", 0, kAdmin, 0, true};
  if (id == RouteId::none) return kNone;
  for (const RouteRow& row : kRoutes) {
    if (row.id == id) return row;
  }
  return kUnlisted;
}

namespace {
constexpr std::array kNames = {
#define MAAS_ROUTE_ID(name) #name,
    MAAS_ROUTE_IDS(MAAS_ROUTE_ID)
#undef MAAS_ROUTE_ID
};
}  // namespace

const char* route_name(RouteId id) { return kNames[static_cast<size_t>(id)]; }

RouteId find_route(std::string_view name) {
  const auto it = std::find(kNames.begin(), kNames.end(), name);
  return it == kNames.end() ? RouteId::none : static_cast<RouteId>(it - kNames.begin());
}

Route match_route(std::string_view target) {
  const std::string_view path = target.substr(0, target.find('?'));
  Route route;
  for (const RouteRow& row : kRoutes) {
    if ((row.planes & kData) && match(row.pattern, path, route)) {
      route.id = row.id;
      route.methods = row.methods;
      route.pattern = row.pattern;
      return route;
    }
  }
  return route;
}

}  // namespace maas::serving
