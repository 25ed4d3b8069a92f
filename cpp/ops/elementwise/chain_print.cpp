#include "ops/elementwise/chain_print.h"

#include <algorithm>
#include <cstdlib>
#include <sstream>

#include "core/fast_divisor.h"
#include "ops/elementwise/function_numbers.h"

namespace maas {
namespace {

// Scalar forms of functions.inc; the prelude defines what they call.
const char* const kScalar[] = {
#define MAAS_FN(name, arity, kind, vector, scalar, ...) #scalar,
#include "ops/elementwise/functions.inc"
#undef MAAS_FN
};

const char* const kPrelude =
#include "ops/elementwise/chain_prelude.inc"
    ;

constexpr int kWidest = 16;  // bytes of an access

int bytes_of(DType t) { return static_cast<int>(bit_size(t) / 8); }

// Names of the prelude.
const char* storage(DType t) {
  switch (t) {
    case DType::f64:
      return "f64";
    case DType::f32:
      return "f32";
    case DType::bf16:
      return "bf16";
    case DType::f16:
      return "f16";
    case DType::i8:
      return "i8";
    case DType::u8:
      return "u8";
    case DType::i16:
      return "i16";
    case DType::i32:
      return "i32";
    case DType::i64:
      return "i64";
    case DType::u32:
      return "u32";
    default:
      return "b8";
  }
}
const char* raw_storage(DType t) {
  const int bytes = bytes_of(t);
  return bytes == 1 ? "u8" : bytes == 2 ? "u16" : bytes == 4 ? "u32" : "u64";
}

// float32 holds these, so chains of them compute in it.
bool held_by_f32(DType t) {
  switch (t) {
    case DType::f32:
    case DType::bf16:
    case DType::f16:
    case DType::b8:
    case DType::i8:
    case DType::u8:
    case DType::i16:
      return true;
    default:
      return false;
  }
}
// Operands and result of 16 bits: functions may be quicker.
bool is_short(const ChainArgs& a) {
  auto half = [](DType t) { return t == DType::bf16 || t == DType::f16; };
  bool all = half(a.dtype);
  for (int i = 0; i < a.inputs; ++i) all = all && (half(a.in[i].dtype) || a.in[i].dtype == DType::b8);
  return all;
}
const char* compute_type(const ChainArgs& a) {
  if (a.integers) return "i64";
  bool held = held_by_f32(a.dtype);
  for (int i = 0; i < a.inputs; ++i) held = held && held_by_f32(a.in[i].dtype);
  return held ? "f32" : "f64";
}

bool is_row_major(const ChainArgs& a, const ChainInput& in) {
  int64_t expected = 1;
  for (int d = a.rank; d-- > 0;) {
    if (a.shape[d] != 1 && in.strides[d] != expected) return false;
    expected *= a.shape[d];
  }
  return true;
}

bool aligned(const void* p, int bytes) { return reinterpret_cast<uintptr_t>(p) % static_cast<uintptr_t>(bytes) == 0; }

bool looked_for(ChainWalk::Read r) { return r >= ChainWalk::vector; }

ChainWalk::Read read_in_row(const ChainArgs& a, const ChainInput& in, int width) {
  const int last = a.rank - 1;
  if (in.strides[last] == 0) return ChainWalk::splat;
  bool vector = in.strides[last] == 1 && aligned(in.data, width * bytes_of(in.dtype));
  for (int d = 0; d < last; ++d) vector = vector && in.strides[d] % width == 0;
  return vector ? ChainWalk::vector : ChainWalk::strided;
}

}  // namespace

ChainWalk walk_chain(const ChainArgs& a) {
  ChainWalk w{};
  w.move = a.step_count == 1 && a.steps[0].fn == fn_identity && a.in[0].dtype == a.dtype;
  w.wide = a.size >= int64_t{1} << 31;
  int widest = bytes_of(a.dtype), operands = 0, gathered = 0;
  for (int i = 0; i < a.inputs; ++i) {
    const ChainInput& in = a.in[i];
    if (in.mode == ChainInput::scalar) {
      w.read[i] = ChainWalk::scalar;
      continue;
    }
    ++operands;
    widest = std::max(widest, bytes_of(in.dtype));
    w.read[i] = is_row_major(a, in) ? ChainWalk::dense : ChainWalk::each;
    if (w.read[i] == ChainWalk::dense) continue;
    ++gathered;
    w.rank = static_cast<uint8_t>(a.rank);
    int64_t reach = 0;
    for (int d = 0; d < a.rank; ++d) reach += (a.shape[d] - 1) * std::abs(in.strides[d]);
    w.wide = w.wide || reach >= int64_t{1} << 31;
  }
  int width = kWidest / widest;
  auto fits = [&] {
    bool ok = aligned(a.y, width * bytes_of(a.dtype));
    for (int i = 0; i < a.inputs; ++i)
      if (w.read[i] == ChainWalk::dense) ok = ok && aligned(a.in[i].data, width * bytes_of(a.in[i].dtype));
    return ok;
  };
  while (width > 1 && !fits()) width /= 2;
  if (gathered) {
    // Within a row one position serves a whole vector; that is worth half the width.
    int row = width;
    while (row > 1 && a.shape[a.rank - 1] % row) row /= 2;
    if (row > 1 && row * 2 >= width) {
      width = row;
      for (int i = 0; i < a.inputs; ++i)
        if (w.read[i] == ChainWalk::each) w.read[i] = read_in_row(a, a.in[i], width);
    }
  }
  w.width = static_cast<uint8_t>(width);
  // Enough loads in flight, without too much text.
  const int work = a.step_count * width;
  int unroll = operands <= 2 && work <= 16 ? 4 : operands <= 4 && work <= 64 ? 2 : 1;
  for (int i = 0; i < a.inputs; ++i)
    if (w.read[i] == ChainWalk::each || w.read[i] == ChainWalk::strided)
      unroll = std::min(unroll, width * gathered <= 4 ? 2 : 1);
  w.unroll = static_cast<uint8_t>(unroll);
  return w;
}

std::string chain_key(const ChainArgs& a, const ChainWalk& w) {
  std::string key;
  auto put = [&](int v) { key.push_back(static_cast<char>(v)); };
  put(a.inputs), put(a.step_count), put(static_cast<int>(a.dtype)), put(a.narrow), put(a.integers);
  put(w.width), put(w.unroll), put(w.rank), put(w.wide), put(w.move);
  for (int i = 0; i < a.inputs; ++i) put(static_cast<int>(a.in[i].dtype)), put(w.read[i]);
  for (int s = 0; s < a.step_count; ++s) {
    put(a.steps[s].fn), put(a.steps[s].fn >> 8), put(a.steps[s].result);
    for (int16_t v : a.steps[s].arg) put(v);
  }
  return key;
}

namespace {

class Printer {
 public:
  Printer(const ChainArgs& args, const ChainWalk& walk) : a_(args), w_(walk) {}

  std::string text() {
    if (is_short(a_)) out_ << "#define SHORT_RESULTS\n";
    if (is_short(a_) && a_.dtype == DType::bf16) out_ << "#define SHORT_TANH\n";
    out_ << kPrelude << "typedef " << compute_type(a_) << " T;\n"
         << (w_.wide ? "typedef int64_t Position;\ntypedef int64_t Offset;\n"
                     : "typedef uint32_t Position;\ntypedef int32_t Offset;\n");
    params();
    if (!w_.move) evaluate();
    if (w_.rank) look();
    kernel();
    out_ << "}  // namespace chain_text\nusing chain_text::chain;\n";
    return out_.str();
  }

 private:
  std::string type(int i) const { return w_.move ? raw_storage(a_.in[i].dtype) : storage(a_.in[i].dtype); }
  std::string result_type() const { return w_.move ? raw_storage(a_.dtype) : storage(a_.dtype); }

  void params() {
    out_ << "struct Params {\n";
    for (int i = 0; i < a_.inputs; ++i) out_ << "  const " << type(i) << "* x" << i << ";\n";
    out_ << "  " << result_type() << "* y;\n  int64_t size, vectors, per;\n";
    for (int d = 1; d < w_.rank; ++d) out_ << "  int64_t n" << d << ", m" << d << ", s" << d << ";\n";
    for (int i = 0; i < a_.inputs; ++i)
      if (looked_for(w_.read[i]))
        for (int d = 0; d < w_.rank; ++d) out_ << "  int64_t k" << i << "_" << d << ";\n";
    out_ << "};\n";
  }

  // Every step names a new value, so registers that are used again do not matter.
  void evaluate() {
    std::string reg[ChainArgs::max_inputs + ChainArgs::max_steps];
    out_ << "D T evaluate(";
    for (int i = 0; i < a_.inputs; ++i) {
      reg[i] = "v" + std::to_string(i);
      out_ << (i ? ", " : "") << "T " << reg[i];
    }
    out_ << ") {\n";
    std::string result;
    const bool narrow = a_.narrow && std::string(compute_type(a_)) == "f64";
    for (int s = 0; s < a_.step_count; ++s) {
      const ChainStepArgs& step = a_.steps[s];
      result = "v" + std::to_string(a_.inputs + s);
      out_ << "  T " << result << ";\n  {\n";
      for (int k = 0; k < 3; ++k)
        if (step.arg[k] >= 0) out_ << "    [[maybe_unused]] const T " << "abc"[k] << " = " << reg[step.arg[k]] << ";\n";
      out_ << "    " << result << " = static_cast<T>(" << (narrow ? "static_cast<float>(" : "") << kScalar[step.fn]
           << (narrow ? ")" : "") << ");\n  }\n";
      reg[step.result] = result;
    }
    out_ << "  return " << result << ";\n}\n";
  }

  // Where element e of the result finds its operands.
  void look() {
    out_ << "D void look(const Params& p, Position e" << offsets(", Offset& g") << ") {\n";
    for (int d = w_.rank - 1; d > 0; --d) {
      const std::string n = std::to_string(d);
      out_ << "  {\n    const Position q = "
           << (w_.wide ? "e / p.n" + n : "divide(e, uint32_t(p.m" + n + "), uint32_t(p.s" + n + "))")
           << ";\n    const Offset i = Offset(e - q * Position(p.n" << n << "));\n";
      step(d, d == w_.rank - 1 ? " = " : " += ", "i");
      out_ << "    e = q;\n  }\n";
    }
    step(0, w_.rank == 1 ? " = " : " += ", "Offset(e)");
    out_ << "}\n";
  }
  void step(int d, const char* assign, const char* index) {
    for (int i = 0; i < a_.inputs; ++i)
      if (looked_for(w_.read[i])) out_ << "    g" << i << assign << index << " * Offset(p.k" << i << "_" << d << ");\n";
  }
  std::string offsets(const char* before) const {
    std::string list;
    for (int i = 0; i < a_.inputs; ++i)
      if (looked_for(w_.read[i])) list += before + std::to_string(i);
    return list;
  }
  std::string declared_offsets() const {
    std::string list = offsets(", g");
    return "Offset " + list.substr(2) + ";";
  }

  // The value of `expression` for element j of a vector, or of the one element of a tail.
  template <class F>
  std::string value(F&& operand) const {
    if (w_.move) return operand(0);
    std::string call = "evaluate(";
    for (int i = 0; i < a_.inputs; ++i) {
      if (i) call += ", ";
      call += w_.read[i] == ChainWalk::scalar ? "v" + std::to_string(i) : "get<T>(" + operand(i) + ")";
    }
    return call + ")";
  }
  std::string stored(const std::string& to, const std::string& v) const {
    return w_.move ? to + " = " + v + ";" : "put(" + to + ", " + v + ");";
  }

  void kernel() {
    const int width = w_.width, unroll = w_.unroll;
    bool each = false;
    for (int i = 0; i < a_.inputs; ++i) each = each || w_.read[i] == ChainWalk::each;
    out_ << "extern \"C\" __global__ void __launch_bounds__(256) chain(const Params p) {\n"
            "  const Position size = Position(p.size), vectors = Position(p.vectors);\n"
            "  const int per = int(p.per);\n";
    for (int i = 0; i < a_.inputs; ++i)
      if (w_.read[i] == ChainWalk::scalar)
        out_ << "  const " << (w_.move ? result_type() : "T") << " v" << i << " = " << (w_.move ? "p.x" : "get<T>(p.x")
             << i << (w_.move ? "[0];\n" : "[0]);\n");
    out_ << "  for (Position base = Position(blockIdx.x) * Position(256 * per) + threadIdx.x; base < vectors;\n"
            "       base += Position(gridDim.x) * Position(256 * per)) {\n";
    for (int i = 0; i < a_.inputs; ++i) {
      if (w_.read[i] == ChainWalk::scalar) continue;
      const int n = w_.read[i] == ChainWalk::splat ? 1 : width;
      out_ << "    Pack<" << type(i) << ", " << n << "> a" << i << "[" << unroll << "];\n";
    }
    const std::string loop = "#pragma unroll\n    for (int k = 0; k < " + std::to_string(unroll) +
                             "; ++k) {\n      const Position at = base + Position(256 * k);\n"
                             "      if (k < per && at < vectors) {\n        const Position e = at * " +
                             std::to_string(width) + ";\n";
    out_ << loop;
    if (w_.rank && !each) out_ << "        " << declared_offsets() << "\n        look(p, e" << offsets(", g") << ");\n";
    for (int i = 0; i < a_.inputs; ++i) load(i);
    if (each) {
      out_ << "#pragma unroll\n        for (int j = 0; j < " << width << "; ++j) {\n          " << declared_offsets()
           << "\n          look(p, e + Position(j)" << offsets(", g") << ");\n";
      for (int i = 0; i < a_.inputs; ++i)
        if (w_.read[i] == ChainWalk::each) out_ << "          a" << i << "[k].at[j] = p.x" << i << "[g" << i << "];\n";
      out_ << "        }\n";
    }
    out_ << "      }\n    }\n"
         << loop << "        Pack<" << result_type() << ", " << width << "> r;\n"
         << "#pragma unroll\n        for (int j = 0; j < " << width << "; ++j) "
         << stored("r.at[j]", value([&](int i) {
                     const std::string n = std::to_string(i);
                     if (w_.read[i] == ChainWalk::scalar) return "v" + n;
                     return "a" + n + "[k].at[" + (w_.read[i] == ChainWalk::splat ? "0" : "j") + "]";
                   }))
         << "\n        r.store(p.y + e);\n      }\n    }\n  }\n";
    if (width > 1) tail();
    out_ << "}\n";
  }

  void load(int i) {
    const std::string a = "        a" + std::to_string(i) + "[k]", x = "p.x" + std::to_string(i),
                      g = "g" + std::to_string(i);
    switch (w_.read[i]) {
      case ChainWalk::dense:
        out_ << a << ".load(" << x << " + e);\n";
        break;
      case ChainWalk::vector:
      case ChainWalk::splat:
        out_ << a << ".load(" << x << " + " << g << ");\n";
        break;
      case ChainWalk::strided:
        out_ << "#pragma unroll\n        for (int j = 0; j < " << int(w_.width) << "; ++j)\n  " << a << ".at[j] = " << x
             << "[" << g << " + Offset(j) * Offset(p.k" << i << "_" << w_.rank - 1 << ")];\n";
        break;
      default:
        break;
    }
  }

  // Fewer elements than a vector, which the first block takes one by one.
  void tail() {
    out_ << "  const Position e = vectors * " << int(w_.width) << " + threadIdx.x;\n"
         << "  if (blockIdx.x == 0 && e < size) {\n";
    if (w_.rank) out_ << "    " << declared_offsets() << "\n    look(p, e" << offsets(", g") << ");\n";
    out_ << "    " << stored("p.y[e]", value([&](int i) {
                               const std::string n = std::to_string(i);
                               if (w_.read[i] == ChainWalk::scalar) return "v" + n;
                               return "p.x" + n + (looked_for(w_.read[i]) ? "[g" + n + "]" : "[e]");
                             }))
         << "\n  }\n";
  }

  const ChainArgs& a_;
  const ChainWalk& w_;
  std::ostringstream out_;
};

}  // namespace

std::string print_chain(const ChainArgs& a, const ChainWalk& w) { return Printer(a, w).text(); }

ChainParams chain_params(const ChainArgs& a, const ChainWalk& w, int multiprocessors) {
  ChainParams p;
  auto put = [&](int64_t v) { p.words[p.count++] = v; };
  auto address = [&](const void* v) { put(static_cast<int64_t>(reinterpret_cast<intptr_t>(v))); };
  for (int i = 0; i < a.inputs; ++i) address(a.in[i].data);
  address(a.y);
  // All blocks at once if one vector a thread does it, then more for each thread, then more blocks.
  const int64_t vectors = a.size / w.width, single = (vectors + p.threads - 1) / p.threads;
  const int64_t resident = int64_t{multiprocessors} * (2048 / p.threads);
  const int64_t per = std::clamp<int64_t>((single + resident - 1) / resident, 1, w.unroll);
  p.blocks = std::clamp<int64_t>((single + per - 1) / per, 1, int64_t{1} << 30);
  put(a.size);
  put(vectors);
  put(per);
  for (int d = 1; d < w.rank; ++d) {
    const FastDivisor f = w.wide ? FastDivisor{} : fast_divisor(static_cast<uint32_t>(a.shape[d]));
    put(a.shape[d]);
    put(f.multiplier);
    put(f.shift);
  }
  for (int i = 0; i < a.inputs; ++i)
    if (looked_for(w.read[i]))
      for (int d = 0; d < w.rank; ++d) put(a.in[i].strides[d]);
  return p;
}

}  // namespace maas
