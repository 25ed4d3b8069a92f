#pragma once
#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

namespace maas {

// Values of symbols while sizes are bound. A Plan knows its few symbols, so a list beats a map.
class SymbolValues {
 public:
  void set(int64_t symbol, int64_t value);
  const int64_t* find(int64_t symbol) const;
  bool operator==(const SymbolValues&) const = default;
  const std::vector<std::pair<int64_t, int64_t>>& items() const { return items_; }

 private:
  std::vector<std::pair<int64_t, int64_t>> items_;
};

using SymbolNames = std::vector<std::pair<int64_t, std::string>>;

// One size: a number, or a canonical integer expression over symbols (+, *, floordiv, min, max). Two Dims are equal
// when their canonical forms are: then they are the same size for every binding. Immutable.
class Dim {
 public:
  Dim(int64_t value = 0) : value_(value) {}  // NOLINT: a number is a size
  // A fresh unknown size >= 0. The name is for people.
  static Dim symbol(const std::string& name);
  static Dim symbol(int64_t id, const std::string& name);

  bool is_constant() const { return !expr_; }
  int64_t constant() const;  // RuntimeError if symbolic
  bool is(int64_t value) const { return !expr_ && value_ == value; }
  int64_t eval(const SymbolValues& values) const;  // RuntimeError if a symbol has no value
  void collect_symbols(std::vector<std::pair<int64_t, std::string>>& out) const;
  Dim substitute(const std::vector<std::pair<int64_t, Dim>>& with) const;
  // A number that it is never below, if one can be told.
  std::optional<int64_t> lower_bound() const;
  // Set when this Dim is exactly one symbol.
  const int64_t* as_symbol() const;
  std::string str() const;
  // The same with symbols under these names, as files hold it: "2*batch+floordiv(time,3)".
  std::string str(const SymbolNames& names) const;

  friend Dim operator+(const Dim& a, const Dim& b);
  friend Dim operator-(const Dim& a, const Dim& b);
  friend Dim operator*(const Dim& a, const Dim& b);
  friend Dim floordiv(const Dim& a, const Dim& b);  // ValueError for b == 0
  friend Dim min(const Dim& a, const Dim& b);
  friend Dim max(const Dim& a, const Dim& b);
  friend bool operator==(const Dim& a, const Dim& b);

  struct Expr;  // a polynomial over atoms; see dim.cpp

 private:
  explicit Dim(std::shared_ptr<const Expr> expr) : expr_(std::move(expr)) {}
  static Dim from(Expr expr);
  Expr poly() const;
  static Dim atom(int kind, const Dim& a, const Dim& b);

  int64_t value_ = 0;
  std::shared_ptr<const Expr> expr_;
};

using Shape = std::vector<Dim>;

std::ostream& operator<<(std::ostream& out, const Dim& dim);
// (None, 8, 8, 1): unknown sizes print as None, as users know them.
std::string to_string(const Shape& shape);
Dim product(const Shape& shape, size_t begin = 0, size_t end = SIZE_MAX);
bool is_constant(const Shape& shape);
std::vector<int64_t> eval(const Shape& shape, const SymbolValues& values);
Shape to_shape(const std::vector<int64_t>& sizes);
// Reads what Dim::str(names) wrote; ValueError for any other text or an unknown name.
Dim parse_dim(const std::string& text, const SymbolNames& names);

}  // namespace maas
