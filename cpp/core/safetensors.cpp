#include "core/safetensors.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <numeric>
#include <thread>

#include "core/allocator.h"
#include "core/error.h"
#include "core/json.h"
#include "core/sha256.h"
#include "core/threads.h"

namespace maas {
namespace {

constexpr size_t kMaxHeader = 100'000'000;  // the limit of the reference implementation
constexpr size_t kMaxRank = 32;

struct Name {
  DType dtype;
  const char* name;
};
constexpr Name kNames[] = {{DType::f64, "F64"},      {DType::f32, "F32"}, {DType::bf16, "BF16"}, {DType::f16, "F16"},
                           {DType::f8, "F8_E4M3"},   {DType::i8, "I8"},   {DType::u8, "U8"},     {DType::i16, "I16"},
                           {DType::i32, "I32"},      {DType::i64, "I64"}, {DType::u32, "U32"},   {DType::b8, "BOOL"},
                           {DType::f8e5, "F8_E5M2"}, {DType::u16, "U16"}, {DType::u64, "U64"}};

[[noreturn]] void damaged(const std::string& what) {
  fail(ErrorKind::value, "damaged or hostile safetensors file: ", what);
}

class File {
 public:
  explicit File(const std::string& path) : fd_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0)
      fail(ErrorKind::runtime, "the file cannot be opened (", std::strerror(errno), "), received '", path, "'");
    struct stat info;
    if (fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
      close(fd_);
      fail(ErrorKind::value, "a model file must be a regular file, received '", path, "'");
    }
    size_ = static_cast<size_t>(info.st_size);
  }
  ~File() { close(fd_); }
  File(const File&) = delete;
  size_t size() const { return size_; }
  void read(void* to, size_t bytes, size_t at) const {
    if (!try_read(to, bytes, at)) damaged("it ends too early");
  }
  // The same without an exception, for jobs.
  bool try_read(void* to, size_t bytes, size_t at) const noexcept {
    auto* p = static_cast<std::byte*>(to);
    while (bytes) {
      const ssize_t n = ::pread(fd_, p, bytes, static_cast<off_t>(at));
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return false;
      p += n;
      at += static_cast<size_t>(n);
      bytes -= static_cast<size_t>(n);
    }
    return true;
  }

 private:
  int fd_;
  size_t size_ = 0;
};

struct Entry {
  std::string name;
  DType dtype;
  std::vector<int64_t> shape;
  size_t begin, end;
};

Entry entry(const std::string& name, const json::Value& v) {
  const auto* members = v.get<json::Object>();
  if (!members || members->size() != 3) damaged(text("tensor '", name, "' needs dtype, shape and data_offsets"));
  const json::Value *dtype = v.find("dtype"), *shape = v.find("shape"), *offsets = v.find("data_offsets");
  const auto* dtype_name = dtype ? dtype->get<std::string>() : nullptr;
  const auto* sizes = shape ? shape->get<json::List>() : nullptr;
  const auto* range = offsets ? offsets->get<json::List>() : nullptr;
  if (!dtype_name || !sizes || !range || range->size() != 2 || sizes->size() > kMaxRank)
    damaged(text("tensor '", name, "' needs dtype, shape and data_offsets"));
  Entry e{name, DType::f32, {}, 0, 0};
  const auto* known =
      std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return *dtype_name == n.name; });
  if (known == std::end(kNames))
    fail(ErrorKind::not_implemented, "tensor '", name, "' has a dtype that is not supported, received '", *dtype_name,
         "'");
  e.dtype = known->dtype;
  int64_t bytes = byte_size(e.dtype, 1);
  for (const auto& s : *sizes) {
    const int64_t* size = s.get<int64_t>();
    if (!size || *size < 0 || __builtin_mul_overflow(bytes, *size, &bytes))
      damaged(text("tensor '", name, "' has a wrong shape"));
    e.shape.push_back(*size);
  }
  const int64_t *begin = (*range)[0].get<int64_t>(), *end = (*range)[1].get<int64_t>();
  if (!begin || !end || *begin < 0 || *end < *begin || *end - *begin != bytes)
    damaged(text("the offsets of tensor '", name, "' do not fit its shape"));
  e.begin = static_cast<size_t>(*begin);
  e.end = static_cast<size_t>(*end);
  return e;
}

std::vector<Entry> entries(const json::Value& header, Safetensors& result, size_t data_bytes) {
  const auto* members = header.get<json::Object>();
  if (!members) damaged("the header is no object");
  std::vector<Entry> list;
  for (const auto& [name, value] : *members) {
    if (name != "__metadata__") {
      list.push_back(entry(name, value));
      continue;
    }
    const auto* metadata = value.get<json::Object>();
    if (!metadata) damaged("__metadata__ is no object");
    for (const auto& [key, item] : *metadata) {
      const auto* s = item.get<std::string>();
      if (!s) damaged("__metadata__ must hold strings");
      result.metadata[key] = *s;
    }
  }
  std::sort(list.begin(), list.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  size_t at = 0;
  for (const Entry& e : list) {
    if (e.begin != at) damaged(text("tensor '", e.name, "' overlaps another or leaves a gap"));
    at = e.end;
  }
  if (at != data_bytes) damaged(text("the header speaks of ", at, " bytes of tensors, received ", data_bytes));
  return list;
}

// Reads pieces of a file by a team, and hashes them in their order as they arrive. New memory has to be cleared by the
// system when it is first written, which takes longer than to hash it: that work is what the team shares.
class Pieces {
 public:
  explicit Pieces(const File& file) : file_(file) {}
  void add(std::byte* to, size_t bytes, size_t at) {
    for (size_t done = 0, n; done < bytes; done += n) {
      n = std::min(bytes - done, kPiece);
      list_.push_back({to + done, n, at + done});
    }
  }
  // False if the file is shorter.
  bool read(Sha256& sha) {
    states_ = std::vector<std::atomic<char>>(list_.size());
    sha_ = &sha;
    ThreadPool::instance().run_elastic(list_.size() > 4 ? 4 : 1, &Pieces::job, this);
    return !failed_;
  }

 private:
  struct Piece {
    std::byte* to;
    size_t bytes, at;
  };
  static constexpr size_t kPiece = size_t{1} << 19;

  static void job(void* ctx, int worker, int) {
    auto& self = *static_cast<Pieces*>(ctx);
    if (worker != 0) {
      while (self.read_next()) {
      }
      return;
    }
    for (size_t i = 0; i < self.list_.size() && !self.failed_; ++i) {
      while (!self.states_[i].load(std::memory_order_acquire) && !self.failed_)
        if (!self.read_next()) std::this_thread::yield();
      if (!self.failed_) self.sha_->add(self.list_[i].to, self.list_[i].bytes);
    }
  }
  bool read_next() {
    const size_t i = next_.fetch_add(1, std::memory_order_relaxed);
    if (i >= list_.size() || failed_) return false;
    if (file_.try_read(list_[i].to, list_[i].bytes, list_[i].at))
      states_[i].store(1, std::memory_order_release);
    else
      failed_ = true;
    return true;
  }

  const File& file_;
  std::vector<Piece> list_;
  std::vector<std::atomic<char>> states_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  Sha256* sha_ = nullptr;
};

// Damage to a graph or a name must not go unseen either. `describe(hash)` adds every tensor in the order of the file.
template <class Describe>
std::string header_sum(const std::map<std::string, std::string>& metadata, const Describe& describe) {
  Sha256 sha;
  // The zeros keep neighbours apart.
  auto hash = [&](const std::string& part) { sha.add(part.c_str(), part.size() + 1); };
  for (const auto& [key, value] : metadata) {
    if (key == "sha256" || key == "sha256_header") continue;
    hash(key);
    hash(value);
  }
  describe(hash);
  return sha.hex();
}
const char* name_of(DType dtype) {
  // int4 has no name in the format: its bytes are stored, the graph says what they are.
  if (dtype == DType::i4) return "U8";
  return std::find_if(std::begin(kNames), std::end(kNames), [&](const Name& n) { return n.dtype == dtype; })->name;
}
std::vector<int64_t> stored_shape(const Array& a) {
  return a.dtype == DType::i4 ? std::vector<int64_t>{static_cast<int64_t>(a.bytes())} : a.shape;
}
std::string list_text(const std::vector<int64_t>& values) {
  std::string s = "[";
  for (size_t i = 0; i < values.size(); ++i) s += text(i ? "," : "", values[i]);
  return s + "]";
}

// MAAS_MAX_MODEL_BYTES, else 16 GiB: also the most that a load reads.
size_t max_file_bytes() {
  const char* v = std::getenv("MAAS_MAX_MODEL_BYTES");
  if (!v) return size_t{16} << 30;
  const std::string_view digits = v;
  check(!digits.empty() && digits.size() < 19 && digits.find_first_not_of("0123456789") == std::string_view::npos &&
            std::strtoull(v, nullptr, 10) > 0,
        "MAAS_MAX_MODEL_BYTES must be a whole number of bytes, received '", v, "'");
  return std::strtoull(v, nullptr, 10);
}

}  // namespace

Safetensors read_safetensors(const std::string& path) {
  File file(path);
  check(file.size() <= max_file_bytes(), "a model file may have at most ", max_file_bytes(),
        " bytes (MAAS_MAX_MODEL_BYTES), received ", file.size());
  uint64_t header_bytes = 0;
  if (file.size() < sizeof header_bytes) damaged("it is too short");
  file.read(&header_bytes, sizeof header_bytes, 0);  // little-endian, as x86-64 is
  if (header_bytes > kMaxHeader || header_bytes > file.size() - sizeof header_bytes)
    damaged(text("its header would have ", header_bytes, " bytes"));
  const size_t data_bytes = file.size() - sizeof header_bytes - header_bytes;
  check_memory(file.size(), text("loading a model file of ", format_bytes(static_cast<int64_t>(file.size()))));
  std::string header(header_bytes, '\0');
  file.read(header.data(), header.size(), sizeof header_bytes);
  if (header.empty() || header[0] != '{') damaged("its header is no object");
  Safetensors result;
  Sha256 sha;
  std::vector<Entry> list = entries(json::parse(header), result, data_bytes);
  result.sha256_header = header_sum(result.metadata, [&](const auto& hash) {
    for (const Entry& e : list) hash(e.name), hash(name_of(e.dtype)), hash(list_text(e.shape));
  });
  Pieces pieces(file);
  std::vector<Array> arrays;
  for (Entry& e : list) {
    arrays.emplace_back(e.dtype, std::move(e.shape));
    pieces.add(arrays.back().as<std::byte>(), arrays.back().bytes(), sizeof header_bytes + header_bytes + e.begin);
  }
  if (!pieces.read(sha)) damaged("it ends too early");
  for (size_t k = 0; k < list.size(); ++k) {
    Array& a = arrays[k];
    if (a.dtype == DType::b8)
      for (int64_t i = 0; i < a.size(); ++i) a.as<uint8_t>()[i] = a.as<uint8_t>()[i] != 0;
    result.tensors.emplace(std::move(list[k].name), std::move(a));
  }
  result.sha256 = sha.hex();
  return result;
}

SafetensorsLayout lay_out_safetensors(std::map<std::string, std::string> metadata,
                                      const std::vector<std::pair<std::string, Array>>& tensors) {
  SafetensorsLayout layout;
  layout.order.resize(tensors.size());
  std::iota(layout.order.begin(), layout.order.end(), size_t{0});
  // Wide elements first: then all are aligned.
  std::stable_sort(layout.order.begin(), layout.order.end(), [&](size_t a, size_t b) {
    return bit_size(tensors[a].second.dtype) > bit_size(tensors[b].second.dtype);
  });
  Sha256 sha;
  for (size_t i : layout.order) sha.add(tensors[i].second.data(), tensors[i].second.bytes());
  metadata["sha256_header"] = header_sum(metadata, [&](const auto& hash) {
    for (size_t i : layout.order)
      hash(tensors[i].first), hash(name_of(tensors[i].second.dtype)), hash(list_text(stored_shape(tensors[i].second)));
  });
  metadata["sha256"] = sha.hex();
  std::string& h = layout.header;
  h = std::string(8, '\0') + "{\"__metadata__\":{";
  bool first = true;
  for (const auto& [key, value] : metadata) {
    if (!first) h += ',';
    first = false;
    json::write_string(h, key);
    h += ':';
    json::write_string(h, value);
  }
  h += '}';
  size_t at = 0;
  for (size_t i : layout.order) {
    const auto& [name, a] = tensors[i];
    h += ',';
    json::write_string(h, name);
    h += text(":{\"dtype\":\"", name_of(a.dtype), "\",\"shape\":", list_text(stored_shape(a)), ",\"data_offsets\":[",
              at, ",", at + a.bytes(), "]}");
    at += a.bytes();
  }
  h += '}';
  h.resize((h.size() + 7) / 8 * 8, ' ');
  const uint64_t length = h.size() - 8;
  std::memcpy(h.data(), &length, sizeof length);
  return layout;
}

}  // namespace maas
