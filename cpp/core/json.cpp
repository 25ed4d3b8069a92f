#include "core/json.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/utf8.h"

namespace maas::json {
namespace {

class Reader {
 public:
  Reader(std::string_view text, int max_depth) : text_(text), depth_left_(max_depth) {}

  Value document() {
    Value v = value();
    space();
    if (at_ != text_.size()) wrong("text goes on after the value");
    return v;
  }

 private:
  [[noreturn]] void wrong(const char* what) const { fail(ErrorKind::value, "JSON: ", what, ", received byte ", at_); }

  void space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n' || text_[at_] == '\r'))
      ++at_;
  }
  char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  bool take(char c) {
    if (peek() != c || at_ >= text_.size()) return false;
    ++at_;
    return true;
  }
  bool word(std::string_view w) {
    if (text_.substr(at_, w.size()) != w) return false;
    at_ += w.size();
    return true;
  }

  Value value() {
    space();
    switch (peek()) {
      case '{':
        return nested([&] { return object(); });
      case '[':
        return nested([&] { return list(); });
      case '"':
        return {string()};
      case 't':
        if (word("true")) return {true};
        break;
      case 'f':
        if (word("false")) return {false};
        break;
      case 'n':
        if (word("null")) return {nullptr};
        break;
      default:
        if (peek() == '-' || (peek() >= '0' && peek() <= '9')) return number();
    }
    wrong("a value is needed");
  }

  template <class Read>
  Value nested(const Read& read) {
    if (--depth_left_ < 0) wrong("lists and objects nest too deep");
    ++at_;
    Value v{read()};
    ++depth_left_;
    return v;
  }

  List list() {
    List items;
    space();
    if (take(']')) return items;
    do items.push_back(value());
    while (space(), take(','));
    if (!take(']')) wrong("a list must end in ]");
    return items;
  }

  Object object() {
    Object members;
    space();
    if (take('}')) return members;
    do {
      space();
      if (peek() != '"') wrong("a member needs a name");
      std::string key = string();
      space();
      if (!take(':')) wrong("a name must be followed by :");
      members.emplace_back(std::move(key), value());
    } while (space(), take(','));
    if (!take('}')) wrong("an object must end in }");
    // Whoever reads the first and whoever reads the last of two equal names would see different files.
    std::vector<std::string_view> names;
    for (const auto& [name, _] : members) names.push_back(name);
    std::sort(names.begin(), names.end());
    if (std::adjacent_find(names.begin(), names.end()) != names.end()) wrong("a name is there twice");
    return members;
  }

  Value number() {
    const size_t begin = at_;
    take('-');
    if (!take('0')) digits();
    bool whole = true;
    if (take('.')) whole = false, digits();
    if (peek() == 'e' || peek() == 'E') {
      whole = false;
      ++at_;
      if (!take('+')) take('-');
      digits();
    }
    const char *first = text_.data() + begin, *last = text_.data() + at_;
    if (int64_t i; whole && std::from_chars(first, last, i).ec == std::errc()) return {i};
    double d = 0;
    if (std::from_chars(first, last, d).ec != std::errc()) wrong("a number is out of range");
    return {d};
  }
  void digits() {
    const size_t begin = at_;
    while (peek() >= '0' && peek() <= '9') ++at_;
    if (at_ == begin) wrong("a digit is needed");
  }

  std::string string() {
    ++at_;
    std::string s;
    for (;;) {
      const size_t begin = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 32)
        ++at_;
      s.append(text_, begin, at_ - begin);
      if (take('"')) break;
      if (!take('\\')) wrong("a string must end in \" and hold no control characters");
      escape(s);
    }
    if (!is_utf8(s)) wrong("a string must be UTF-8");
    return s;
  }

  void escape(std::string& s) {
    const char c = peek();
    ++at_;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        s += c;
        return;
      case 'b':
        s += '\b';
        return;
      case 'f':
        s += '\f';
        return;
      case 'n':
        s += '\n';
        return;
      case 'r':
        s += '\r';
        return;
      case 't':
        s += '\t';
        return;
      case 'u': {
        uint32_t code = hex4();
        if (code >= 0xd800 && code < 0xdc00) {
          if (!word("\\u")) wrong("half of a surrogate pair");
          const uint32_t low = hex4();
          if (low < 0xdc00 || low > 0xdfff) wrong("half of a surrogate pair");
          code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
        } else if (code >= 0xdc00 && code < 0xe000) {
          wrong("half of a surrogate pair");
        }
        append_utf8(s, code);
        return;
      }
      default:
        wrong("an unknown escape");
    }
  }
  uint32_t hex4() {
    uint32_t code = 0;
    const char* first = text_.data() + std::min(at_, text_.size());
    const char* last = text_.data() + std::min(at_ + 4, text_.size());
    const auto [end, error] = std::from_chars(first, last, code, 16);
    if (error != std::errc() || end != first + 4) wrong("\\u needs four hexadecimal digits");
    at_ += 4;
    return code;
  }

  std::string_view text_;
  size_t at_ = 0;
  int depth_left_;
};

}  // namespace

const Value* Value::find(std::string_view key) const {
  if (const Object* o = get<Object>())
    for (const auto& [name, value] : *o)
      if (name == key) return &value;
  return nullptr;
}

Value parse(std::string_view text, int max_depth) { return Reader(text, max_depth).document(); }

void write_string(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 32) {
      constexpr char hex[] = "0123456789abcdef";
      out += "\\u00";
      out += hex[c >> 4];
      out += hex[c & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void write_number(std::string& out, double value) {
  char digits[32];
  out.append(digits, std::to_chars(digits, digits + sizeof digits, value).ptr);
}

}  // namespace maas::json
