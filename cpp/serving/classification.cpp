// The classification extension: an output as its highest values.
#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <type_traits>

#include "core/error.h"
#include "serving/json_words.h"
#include "serving/protocol.h"

namespace maas::serving {
namespace {

// As printf writes it, with the point that a locale may replace.
template <class T>
std::string ranked_text(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    char b[400];  // the longest double has 309 digits before the point
    return {b, std::to_chars(b, b + sizeof b, value, std::chars_format::fixed, 6).ptr};
  } else {
    return std::to_string(value);
  }
}

template <class T>
void rank_row(const char* row, int64_t n, int64_t k, std::vector<std::string>& texts) {
  std::vector<T> values(static_cast<size_t>(n));
  std::memcpy(values.data(), row, values.size() * sizeof(T));
  std::vector<int64_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  const auto better = [&](int64_t a, int64_t b) {
    const T x = values[static_cast<size_t>(a)], y = values[static_cast<size_t>(b)];
    // NaN comes last; equal values in the order of their index.
    const bool x_nan = x != x, y_nan = y != y;
    if (x_nan != y_nan) return y_nan;
    if (x_nan || x == y) return a < b;
    return x > y;
  };
  std::partial_sort(order.begin(), order.begin() + k, order.end(), better);
  for (int64_t i = 0; i < k; ++i) {
    const int64_t index = order[static_cast<size_t>(i)];
    texts.push_back(ranked_text(values[static_cast<size_t>(index)]) + ":" + std::to_string(index));
  }
}

using RankRow = void (*)(const char*, int64_t, int64_t, std::vector<std::string>&);

RankRow ranker(const TensorSpec& spec) {
  switch (spec.datatype) {
    case Datatype::uint8:
      return rank_row<uint8_t>;
    case Datatype::uint16:
      return rank_row<uint16_t>;
    case Datatype::uint32:
      return rank_row<uint32_t>;
    case Datatype::uint64:
      return rank_row<uint64_t>;
    case Datatype::int8:
      return rank_row<int8_t>;
    case Datatype::int16:
      return rank_row<int16_t>;
    case Datatype::int32:
      return rank_row<int32_t>;
    case Datatype::int64:
      return rank_row<int64_t>;
    case Datatype::fp32:
      return rank_row<float>;
    case Datatype::fp64:
      return rank_row<double>;
    default:
      refuse("output '" + spec.name + "' of datatype " + std::string(datatype_name(spec.datatype)) +
             " cannot be classified");
  }
}

}  // namespace

void classify_outputs(std::vector<OutputView>& outputs, bool batched, std::vector<std::string>& texts,
                      std::vector<std::vector<Bytes>>& elements) {
  for (OutputView& o : outputs) {
    if (o.classes == 0) continue;
    const int64_t rows = batched ? o.shape[0] : 1;
    const int64_t n = rows == 0 ? 0 : o.count / rows;
    const int64_t k = std::min(o.classes, n);
    const RankRow rank = ranker(*o.spec);
    const auto stride = static_cast<size_t>(n) * datatype_size(o.datatype);
    for (int64_t r = 0; r < rows; ++r) rank(o.data + static_cast<size_t>(r) * stride, n, k, texts);
    o.shape = batched ? Shape{rows, k} : Shape{k};
    o.count = rows * k;
    o.datatype = Datatype::bytes;
  }
  // The strings move while more are added, so they are pointed at in the end.
  size_t at = 0;
  for (OutputView& o : outputs) {
    if (o.classes == 0) continue;
    std::vector<Bytes>& list = elements.emplace_back();
    for (int64_t i = 0; i < o.count; ++i, ++at) list.push_back({texts[at].data(), texts[at].size()});
    o.data = reinterpret_cast<const char*>(list.data());
  }
}

}  // namespace maas::serving
