#include "serving/content_coding.h"

#include <algorithm>
#include <array>
#include <boost/beast/core/string.hpp>
#include <boost/beast/zlib/deflate_stream.hpp>
#include <boost/beast/zlib/inflate_stream.hpp>
#include <charconv>
#include <optional>

#include "serving/checksums.h"
#include "serving/service.h"

namespace maas::serving {
namespace {

namespace zlib = boost::beast::zlib;
using Ec = boost::system::error_code;

// Below this the frame and the time cost more than they save.
constexpr size_t kSmall = 512;

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && (s.front() == ' ' || s.front() == '\t')) s.remove_prefix(1);
  while (!s.empty() && (s.back() == ' ' || s.back() == '\t')) s.remove_suffix(1);
  return s;
}

// The next part of a list, which loses it.
std::string_view next_part(std::string_view& list, char separator) {
  const size_t n = std::min(list.find(separator), list.size());
  const std::string_view part = trimmed(list.substr(0, n));
  list.remove_prefix(std::min(list.size(), n + 1));
  return part;
}

bool same(std::string_view a, std::string_view b) {
  return boost::beast::iequals({a.data(), a.size()}, {b.data(), b.size()});
}

std::optional<Coding> find_coding(std::string_view name) {
  if (name.empty() || same(name, "identity")) return Coding::identity;
  if (same(name, "gzip") || same(name, "x-gzip")) return Coding::gzip;
  if (same(name, "deflate")) return Coding::deflate;
  return std::nullopt;
}

uint32_t little(std::string_view s) {
  uint32_t v = 0;
  for (size_t i = 4; i-- > 0;) v = v << 8 | static_cast<unsigned char>(s[i]);
  return v;
}

uint32_t big(std::string_view s) {
  uint32_t v = 0;
  for (size_t i = 0; i < 4; ++i) v = v << 8 | static_cast<unsigned char>(s[i]);
  return v;
}

// Takes the gzip header off `in`; false if it is not one.
bool skip_gzip_header(std::string_view& in) {
  constexpr unsigned kHeaderCrc = 2, kExtra = 4, kName = 8, kComment = 16, kReserved = 0xe0;
  if (in.size() < 10 || !in.starts_with("\x1f\x8b\x08")) return false;
  const auto flags = static_cast<unsigned char>(in[3]);
  in.remove_prefix(10);
  if (flags & kReserved) return false;
  if (flags & kExtra) {
    if (in.size() < 2) return false;
    const size_t n = 2 + static_cast<unsigned char>(in[0]) + 256U * static_cast<unsigned char>(in[1]);
    if (in.size() < n) return false;
    in.remove_prefix(n);
  }
  for (const unsigned text : {kName, kComment}) {
    if (!(flags & text)) continue;
    const size_t end = in.find('\0');
    if (end == std::string_view::npos) return false;
    in.remove_prefix(end + 1);
  }
  if (flags & kHeaderCrc) {
    if (in.size() < 2) return false;
    in.remove_prefix(2);
  }
  return true;
}

bool skip_zlib_header(std::string_view& in) {
  if (in.size() < 2) return false;
  const unsigned a = static_cast<unsigned char>(in[0]), b = static_cast<unsigned char>(in[1]);
  in.remove_prefix(2);
  constexpr unsigned kDictionary = 0x20;
  return (a & 15) == 8 && a >> 4 <= 7 && (a * 256 + b) % 31 == 0 && !(b & kDictionary);
}

}  // namespace

PlainBody::PlainBody(const Request& request) : body(request.body) {
  if (request.content_encoding.empty()) return;
  std::string_view list = request.content_encoding;
  Coding coding = Coding::identity;
  while (!list.empty()) {
    const auto found = find_coding(next_part(list, ','));
    if (!found || (*found != Coding::identity && coding != Coding::identity)) {
      status = 415;
      problem = "Content-Encoding must be gzip or deflate, once";
      return;
    }
    if (*found != Coding::identity) coding = *found;
  }
  if (coding != Coding::identity) decode(request.body, coding, request.max_body);
}

void PlainBody::decode(std::string_view in, Coding coding, size_t limit) {
  const auto refuse = [&](int code, const char* text) {
    status = code;
    problem = text;
    body = {};
    std::string().swap(text_);
  };
  constexpr const char* kBroken = "the compressed body is not valid";
  const size_t trailer = coding == Coding::gzip ? 8 : 4;
  if (!(coding == Coding::gzip ? skip_gzip_header(in) : skip_zlib_header(in))) return refuse(400, kBroken);
  zlib::inflate_stream stream;
  zlib::z_params z;
  z.next_in = in.data();
  z.avail_in = in.size();
  Ec ec;
  while (!ec) {
    if (z.total_out == text_.size()) {
      if (text_.size() > limit) return refuse(413, "the body is larger than the limit once it is decompressed");
      // One byte more than allowed tells a body that is too long from one that just fits.
      text_.resize(std::min(limit + 1, std::max<size_t>({4096, 3 * in.size(), 2 * text_.size()})));
    }
    z.next_out = text_.data() + z.total_out;
    z.avail_out = text_.size() - z.total_out;
    stream.write(z, zlib::Flush::sync, ec);
    if (ec == zlib::error::need_buffers && z.avail_in > 0 && z.avail_out == 0) ec = {};
  }
  if (ec != zlib::error::end_of_stream) return refuse(400, kBroken);
  if (z.total_out > limit) return refuse(413, "the body is larger than the limit once it is decompressed");
  text_.resize(z.total_out);
  in.remove_prefix(in.size() - z.avail_in);
  // Nothing may follow: a second member is what two readers could understand differently.
  if (in.size() != trailer) return refuse(400, kBroken);
  const bool right = coding == Coding::gzip
                         ? little(in) == crc32(text_) && little(in.substr(4)) == static_cast<uint32_t>(text_.size())
                         : big(in) == adler32(text_);
  if (!right) return refuse(400, kBroken);
  body = text_;
}

Coding choose_coding(std::string_view list) {
  constexpr double kUnsaid = -1;
  std::array<double, 3> weight = {kUnsaid, kUnsaid, kUnsaid};
  double any = kUnsaid;
  while (!list.empty()) {
    std::string_view item = next_part(list, ',');
    const std::string_view name = next_part(item, ';');
    double q = 1;
    while (!item.empty()) {
      const std::string_view parameter = next_part(item, ';');
      if (parameter.size() < 2 || (parameter[0] | 32) != 'q' || parameter[1] != '=') continue;
      const auto r = std::from_chars(parameter.data() + 2, parameter.data() + parameter.size(), q);
      if (r.ec != std::errc() || !(q >= 0 && q <= 1)) q = 0;
    }
    if (name == "*") {
      any = q;
    } else if (const auto c = find_coding(name); c && !name.empty()) {
      weight[static_cast<size_t>(*c)] = q;
    }
  }
  const auto of = [&](Coding c) {
    const double w = weight[static_cast<size_t>(c)];
    return w != kUnsaid ? w : any != kUnsaid ? any : 0.0;
  };
  Coding best = Coding::identity;
  double top = std::max(weight[0], 0.0);
  for (const Coding c : {Coding::deflate, Coding::gzip}) {
    if (of(c) > 0 && of(c) >= top) {
      best = c;
      top = of(c);
    }
  }
  return best;
}

void encode_body(Response& response, Coding coding) {
  const std::string& in = response.body;
  if (coding == Coding::identity || in.size() < kSmall) return;
  zlib::deflate_stream stream;
  constexpr int kFastest = 1;
  stream.reset(kFastest, 15, 8, zlib::Strategy::normal);
  std::string out;
  const bool gzip = coding == Coding::gzip;
  if (gzip) {
    out.assign("\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
  } else {
    out.assign("\x78\x01", 2);
  }
  const size_t head = out.size();
  out.resize(head + stream.upper_bound(in.size()) + 16);
  zlib::z_params z;
  z.next_in = in.data();
  z.avail_in = in.size();
  z.next_out = out.data() + head;
  z.avail_out = out.size() - head;
  Ec ec;
  stream.write(z, zlib::Flush::finish, ec);
  if (ec != zlib::error::end_of_stream) return;  // the plain body is as good
  out.resize(head + z.total_out);
  const uint32_t sum = gzip ? crc32(in) : adler32(in), size = static_cast<uint32_t>(in.size());
  for (int i = 0; i < 4; ++i) out += static_cast<char>(sum >> (gzip ? 8 * i : 24 - 8 * i));
  for (int i = 0; gzip && i < 4; ++i) out += static_cast<char>(size >> 8 * i);
  if (out.size() >= in.size()) return;
  response.body = std::move(out);
  response.headers += gzip ? "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n"
                           : "Content-Encoding: deflate\r\nVary: Accept-Encoding\r\n";
}

}  // namespace maas::serving
