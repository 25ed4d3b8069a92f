#include "core/dim.h"

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstring>
#include <map>

#include "core/error.h"

namespace maas {

// An atom is a symbol, or floordiv/min/max of two Dims. `key` is its canonical text and orders atoms.
struct Atom {
  enum Kind { symbol, floordiv, min, max } kind;
  int64_t id = 0;  // symbol
  std::string name;
  Dim a, b;
  std::string key;
};
using AtomPtr = std::shared_ptr<const Atom>;
struct AtomLess {
  bool operator()(const AtomPtr& x, const AtomPtr& y) const { return x->key < y->key; }
};
using Monomial = std::vector<AtomPtr>;  // sorted by key, repeated for powers
struct MonomialLess {
  bool operator()(const Monomial& x, const Monomial& y) const {
    return std::lexicographical_compare(x.begin(), x.end(), y.begin(), y.end(), AtomLess());
  }
};

struct Dim::Expr {
  std::map<Monomial, int64_t, MonomialLess> terms;  // no zero coefficients; the empty monomial is the constant term
};

namespace {
std::atomic<int64_t> next_symbol{1};

// Sizes of files and callers may be anything.
int64_t plus(int64_t a, int64_t b) {
  int64_t sum;
  if (__builtin_add_overflow(a, b, &sum)) fail(ErrorKind::memory, "a size is too large, received ", a, " + ", b);
  return sum;
}
int64_t times(int64_t a, int64_t b) {
  int64_t product;
  if (__builtin_mul_overflow(a, b, &product)) fail(ErrorKind::memory, "a size is too large, received ", a, " * ", b);
  return product;
}

int64_t floor_div(int64_t a, int64_t b) {
  check(b != 0, "a size was divided by zero");
  if (b == -1) return times(a, -1);
  int64_t q = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? q - 1 : q;
}

int64_t eval_atom(const Atom& atom, const SymbolValues& values) {
  if (atom.kind == Atom::symbol) {
    const int64_t* v = values.find(atom.id);
    if (!v) fail(ErrorKind::runtime, "the size '", atom.name, "' has no value");
    return *v;
  }
  int64_t a = atom.a.eval(values), b = atom.b.eval(values);
  if (atom.kind == Atom::floordiv) return floor_div(a, b);
  return atom.kind == Atom::min ? std::min(a, b) : std::max(a, b);
}
}  // namespace

void SymbolValues::set(int64_t symbol, int64_t value) {
  for (auto& item : items_)
    if (item.first == symbol) {
      item.second = value;
      return;
    }
  items_.emplace_back(symbol, value);
}

const int64_t* SymbolValues::find(int64_t symbol) const {
  for (const auto& item : items_)
    if (item.first == symbol) return &item.second;
  return nullptr;
}

Dim Dim::symbol(const std::string& name) { return symbol(next_symbol++, name); }

Dim Dim::symbol(int64_t id, const std::string& name) {
  auto atom = std::make_shared<Atom>();
  atom->kind = Atom::symbol;
  atom->id = id;
  atom->name = name;
  atom->key = text("s", id);
  Expr e;
  e.terms[{atom}] = 1;
  return Dim(std::make_shared<const Expr>(std::move(e)));
}

Dim::Expr Dim::poly() const {
  if (expr_) return *expr_;
  Expr e;
  if (value_ != 0) e.terms[{}] = value_;
  return e;
}

Dim Dim::from(Expr e) {
  std::erase_if(e.terms, [](const auto& t) { return t.second == 0; });
  if (e.terms.empty()) return Dim(0);
  if (e.terms.size() == 1 && e.terms.begin()->first.empty()) return Dim(e.terms.begin()->second);
  return Dim(std::make_shared<const Expr>(std::move(e)));
}

Dim Dim::atom(int kind, const Dim& a, const Dim& b) {
  auto atom = std::make_shared<Atom>();
  atom->kind = static_cast<Atom::Kind>(kind);
  atom->a = a;
  atom->b = b;
  const char* names[] = {"", "floordiv", "min", "max"};
  atom->key = text(names[kind], "(", a, ",", b, ")");
  Expr e;
  e.terms[{atom}] = 1;
  return from(std::move(e));
}

int64_t Dim::constant() const {
  if (expr_) fail(ErrorKind::runtime, "a known size is needed, received ", str());
  return value_;
}

int64_t Dim::eval(const SymbolValues& values) const {
  if (!expr_) return value_;
  int64_t sum = 0;
  for (const auto& [monomial, coefficient] : expr_->terms) {
    int64_t term = coefficient;
    for (const AtomPtr& a : monomial) term = times(term, eval_atom(*a, values));
    sum = plus(sum, term);
  }
  return sum;
}

void Dim::collect_symbols(std::vector<std::pair<int64_t, std::string>>& out) const {
  if (!expr_) return;
  for (const auto& [monomial, _] : expr_->terms)
    for (const AtomPtr& a : monomial) {
      if (a->kind == Atom::symbol) {
        if (std::none_of(out.begin(), out.end(), [&](const auto& s) { return s.first == a->id; }))
          out.emplace_back(a->id, a->name);
      } else {
        a->a.collect_symbols(out);
        a->b.collect_symbols(out);
      }
    }
}

namespace {
Dim combine(int kind, const Dim& x, const Dim& y) {
  return kind == Atom::floordiv ? floordiv(x, y) : kind == Atom::min ? min(x, y) : max(x, y);
}
}  // namespace

Dim Dim::substitute(const std::vector<std::pair<int64_t, Dim>>& with) const {
  if (!expr_) return *this;
  Dim sum(0);
  for (const auto& [monomial, coefficient] : expr_->terms) {
    Dim term(coefficient);
    for (const AtomPtr& a : monomial) {
      Dim factor;
      if (a->kind == Atom::symbol) {
        auto it = std::find_if(with.begin(), with.end(), [&](const auto& w) { return w.first == a->id; });
        factor = it == with.end() ? symbol(a->id, a->name) : it->second;
      } else {
        Dim x = a->a.substitute(with), y = a->b.substitute(with);
        factor = combine(a->kind, x, y);
      }
      term = term * factor;
    }
    sum = sum + term;
  }
  return sum;
}

const int64_t* Dim::as_symbol() const {
  if (!expr_ || expr_->terms.size() != 1) return nullptr;
  const auto& [monomial, coefficient] = *expr_->terms.begin();
  if (coefficient != 1 || monomial.size() != 1 || monomial[0]->kind != Atom::symbol) return nullptr;
  return &monomial[0]->id;
}

namespace {
template <class Name>
std::string write(const Dim::Expr& expr, const Name& name);
}  // namespace

std::string Dim::str() const {
  if (!expr_) return std::to_string(value_);
  return write(*expr_, [](const Dim& d, const Atom* a) { return a ? text(a->name, "#", a->id) : d.str(); });
}

std::string Dim::str(const SymbolNames& names) const {
  if (!expr_) return std::to_string(value_);
  return write(*expr_, [&](const Dim& d, const Atom* a) {
    if (!a) return d.str(names);
    for (const auto& [id, name] : names)
      if (id == a->id) return name;
    fail(ErrorKind::runtime, "a size without a name, received '", a->name, "'");
  });
}

namespace {
// `name(dim, null)` writes a Dim inside an atom, `name(_, atom)` a symbol.
template <class Name>
std::string write(const Dim::Expr& expr, const Name& name) {
  std::string s;
  for (const auto& [monomial, coefficient] : expr.terms) {
    std::string term;
    if (coefficient != 1 || monomial.empty()) term = std::to_string(coefficient);
    for (const AtomPtr& a : monomial) {
      if (!term.empty()) term += "*";
      const char* kinds[] = {"", "floordiv", "min", "max"};
      term += a->kind == Atom::symbol ? name(Dim(), a.get())
                                      : text(kinds[a->kind], "(", name(a->a, nullptr), ",", name(a->b, nullptr), ")");
    }
    s += (s.empty() ? "" : "+") + term;
  }
  return s;
}

class DimReader {
 public:
  DimReader(const std::string& text, const SymbolNames& names) : text_(text), names_(names) {}
  Dim all() {
    Dim d = sum();
    if (at_ != text_.size()) wrong();
    return d;
  }

 private:
  static constexpr int kMaxDepth = 32;
  [[noreturn]] void wrong() const {
    fail(ErrorKind::value, "a size must be an expression over known names, received '", text_.substr(0, 200), "'");
  }
  bool take(char c) { return at_ < text_.size() && text_[at_] == c && ++at_; }

  Dim sum() {
    if (++depth_ > kMaxDepth) wrong();
    Dim d = term();
    while (take('+')) d = d + term();
    --depth_;
    return d;
  }
  Dim term() {
    Dim d = factor();
    while (take('*')) d = d * factor();
    return d;
  }
  Dim factor() {
    int64_t number = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), number);
    if (error == std::errc()) {
      at_ = static_cast<size_t>(end - text_.data());
      return number;
    }
    const size_t begin = at_;
    while (at_ < text_.size() && !std::strchr("+*(),", text_[at_])) ++at_;
    const std::string word = text_.substr(begin, at_ - begin);
    if (take('(')) {
      const Dim a = sum();
      if (!take(',')) wrong();
      const Dim b = sum();
      if (!take(')')) wrong();
      if (word == "floordiv") return floordiv(a, b);
      if (word == "min") return min(a, b);
      if (word == "max") return max(a, b);
      wrong();
    }
    for (const auto& [id, name] : names_)
      if (name == word) return Dim::symbol(id, name);
    wrong();
  }

  const std::string& text_;
  const SymbolNames& names_;
  size_t at_ = 0;
  int depth_ = 0;
};
}  // namespace

Dim parse_dim(const std::string& text, const SymbolNames& names) { return DimReader(text, names).all(); }

Dim operator+(const Dim& a, const Dim& b) {
  if (!a.expr_ && !b.expr_) return Dim(plus(a.value_, b.value_));
  Dim::Expr e = a.poly();
  for (const auto& [m, c] : b.poly().terms) e.terms[m] = plus(e.terms[m], c);
  return Dim::from(std::move(e));
}

Dim operator*(const Dim& a, const Dim& b) {
  if (!a.expr_ && !b.expr_) return Dim(times(a.value_, b.value_));
  Dim::Expr e, x = a.poly(), y = b.poly();
  for (const auto& [ma, ca] : x.terms)
    for (const auto& [mb, cb] : y.terms) {
      Monomial m = ma;
      m.insert(m.end(), mb.begin(), mb.end());
      std::sort(m.begin(), m.end(), AtomLess());
      e.terms[m] = plus(e.terms[m], times(ca, cb));
    }
  return Dim::from(std::move(e));
}

Dim operator-(const Dim& a, const Dim& b) { return a + b * Dim(-1); }

Dim floordiv(const Dim& a, const Dim& b) {
  if (!a.expr_ && !b.expr_) return Dim(floor_div(a.value_, b.value_));
  if (b.is(1)) return a;
  if (a == b) return Dim(1);  // sizes that divide are not 0: guarded where they are bound
  // p*c + q over c is p + q/c when every term of p has the factor c; needed for Reshape with -1.
  Dim::Expr whole, rest, x = a.poly();
  if (b.is_constant()) {
    for (const auto& [m, c] : x.terms)
      (c % b.value_ == 0 ? whole : rest).terms[m] = c % b.value_ == 0 ? c / b.value_ : c;
  } else if (b.expr_->terms.size() == 1) {
    const auto& [mb, cb] = *b.expr_->terms.begin();
    for (const auto& [m, c] : x.terms) {
      Monomial left;
      bool divides = c % cb == 0 && std::includes(m.begin(), m.end(), mb.begin(), mb.end(), AtomLess());
      if (divides) std::set_difference(m.begin(), m.end(), mb.begin(), mb.end(), std::back_inserter(left), AtomLess());
      (divides ? whole : rest).terms[divides ? left : m] = divides ? c / cb : c;
    }
  } else {
    rest = x;
  }
  // The constant term of the rest stays within [0, b): then n + 7 over 4 is n + 3 over 4, plus 1.
  if (b.is_constant() && b.value_ > 0) {
    const auto it = rest.terms.find({});
    if (it != rest.terms.end()) {
      const int64_t q = floor_div(it->second, b.value_);
      it->second -= q * b.value_;
      whole.terms[{}] = plus(whole.terms[{}], q);
      if (rest.terms.size() == 1) rest.terms.clear();
    }
  }
  if (rest.terms.empty()) return Dim::from(std::move(whole));
  return Dim::from(std::move(whole)) + Dim::atom(Atom::floordiv, Dim::from(std::move(rest)), b);
}

// Symbols are sizes, never negative: often enough to tell which of two is larger.
std::optional<int64_t> Dim::lower_bound() const {
  if (!expr_) return value_;
  int64_t bound = 0;
  for (const auto& [monomial, coefficient] : expr_->terms) {
    if (monomial.empty()) {
      if (__builtin_add_overflow(bound, coefficient, &bound)) return {};
      continue;
    }
    if (coefficient < 0) return {};
    int64_t least = coefficient;
    for (const AtomPtr& a : monomial) {
      std::optional<int64_t> of_atom = 0;
      if (a->kind != Atom::symbol) {
        const auto x = a->a.lower_bound(), y = a->b.lower_bound();
        if (a->kind == Atom::floordiv)
          of_atom = x && *x >= 0 && y && *y > 0 ? std::optional<int64_t>(0) : std::nullopt;
        else if (a->kind == Atom::min)
          of_atom = x && y ? std::optional(std::min(*x, *y)) : std::nullopt;
        else
          of_atom = x && y ? std::optional(std::max(*x, *y)) : x ? x : y;
      }
      if (!of_atom || *of_atom < 0 || __builtin_mul_overflow(least, *of_atom, &least)) return {};
    }
    if (__builtin_add_overflow(bound, least, &bound)) return {};
  }
  return bound;
}

namespace {
const Atom* only_atom(const Dim::Expr* e) {
  if (!e || e->terms.size() != 1) return nullptr;
  const auto& [monomial, coefficient] = *e->terms.begin();
  return coefficient == 1 && monomial.size() == 1 ? monomial[0].get() : nullptr;
}
// True if `whole` is min (or max) of `part` and something.
bool holds(const Atom* whole, int kind, const Dim& part) {
  return whole && whole->kind == kind && (whole->a == part || whole->b == part);
}
bool at_least(const Dim& a, const Dim& b) {
  const auto least = (a - b).lower_bound();
  return least && *least >= 0;
}
}  // namespace

Dim min(const Dim& a, const Dim& b) {
  if (!a.expr_ && !b.expr_) return Dim(std::min(a.value_, b.value_));
  if (at_least(b, a) || holds(only_atom(a.expr_.get()), Atom::min, b)) return a;
  if (at_least(a, b) || holds(only_atom(b.expr_.get()), Atom::min, a)) return b;
  return a.str() < b.str() ? Dim::atom(Atom::min, a, b) : Dim::atom(Atom::min, b, a);
}

Dim max(const Dim& a, const Dim& b) {
  if (!a.expr_ && !b.expr_) return Dim(std::max(a.value_, b.value_));
  if (at_least(a, b) || holds(only_atom(a.expr_.get()), Atom::max, b)) return a;
  if (at_least(b, a) || holds(only_atom(b.expr_.get()), Atom::max, a)) return b;
  return a.str() < b.str() ? Dim::atom(Atom::max, a, b) : Dim::atom(Atom::max, b, a);
}

bool operator==(const Dim& a, const Dim& b) {
  if (!a.expr_ || !b.expr_) return !a.expr_ && !b.expr_ && a.value_ == b.value_;
  if (a.expr_ == b.expr_) return true;
  const auto &x = a.expr_->terms, &y = b.expr_->terms;
  auto same = [](const auto& p, const auto& q) {
    return p.second == q.second && p.first.size() == q.first.size() &&
           std::equal(p.first.begin(), p.first.end(), q.first.begin(),
                      [](const AtomPtr& s, const AtomPtr& t) { return s->key == t->key; });
  };
  return x.size() == y.size() && std::equal(x.begin(), x.end(), y.begin(), same);
}

std::ostream& operator<<(std::ostream& out, const Dim& dim) { return out << dim.str(); }

std::string to_string(const Shape& shape) {
  std::string s = "(";
  for (size_t i = 0; i < shape.size(); ++i)
    s += (i ? ", " : "") + (shape[i].is_constant() ? std::to_string(shape[i].constant()) : std::string("None"));
  return s + (shape.size() == 1 ? ",)" : ")");
}

Dim product(const Shape& shape, size_t begin, size_t end) {
  Dim p(1);
  for (size_t i = begin; i < std::min(end, shape.size()); ++i) p = p * shape[i];
  return p;
}

bool is_constant(const Shape& shape) {
  return std::all_of(shape.begin(), shape.end(), [](const Dim& d) { return d.is_constant(); });
}

std::vector<int64_t> eval(const Shape& shape, const SymbolValues& values) {
  std::vector<int64_t> sizes(shape.size());
  for (size_t i = 0; i < shape.size(); ++i) sizes[i] = shape[i].eval(values);
  return sizes;
}

Shape to_shape(const std::vector<int64_t>& sizes) { return Shape(sizes.begin(), sizes.end()); }

}  // namespace maas
