// Readers of files on inputs that were changed at random: JSON, safetensors, graphs, and plans of the graphs that pass.
#include "tests/fuzz.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <boost/test/unit_test.hpp>
#include <cstring>
#include <fstream>
#include <thread>

#include "core/allocator.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/json.h"
#include "core/safetensors.h"
#include "graph/op.h"
#include "graph/serialize.h"
#include "ops/build.h"
#include "runtime/model_file.h"
#include "runtime/program.h"

using namespace maas;

namespace {

// What came of it, as text; anything but an Error is a fault.
template <class F>
std::string outcome(F&& f) {
  try {
    f();
    return "good";
  } catch (const Error& e) {
    return e.what();
  }
}

std::string bytes_of(const Array& a) { return {static_cast<const char*>(a.data()), static_cast<size_t>(a.bytes())}; }

VariablePtr variable(std::vector<int64_t> shape, const char* name) {
  Array a(DType::f32, std::move(shape));
  for (int64_t i = 0; i < a.size(); ++i) a.as<float>()[i] = 0.01f * static_cast<float>(i % 7);
  return std::make_shared<Variable>(a, name, true);
}

// A training step, and a graph with a loop in it.
std::vector<Function> functions() {
  const auto w = variable({6, 4}, "w"), moment = variable({6, 4}, "m");
  const Dim rows = Dim::symbol("rows");
  const Node x = input_node({DType::f32, {rows, 6}, {}}, "x"), y = input_node({DType::i32, {rows}, {}}, "y");
  const Node state = state_node(w), z = matmul(x, state) + 1.5;
  const Node loss = sum(op("sparse_softmax_cross_entropy", {z, y}), {0}, false);
  const Node next = op("sgd", {scalar_node(DType::f32, 0.1), state, gradients(loss, {state})[0], state_node(moment)},
                       {{"momentum", 0.9}});
  Graph train{{x, y}, {loss}, {{w, next}, {moment, next.output(1)}}};

  const Node a = input_node({DType::f32, {rows, Dim::symbol("time"), 3}, {}}, "a");
  const Node taken = op("take", {transpose(a, {1, 0, 2}), full({2}, DType::i32, 0)}, {{"axis", int64_t{0}}});
  const Node wide = concatenate({taken, unary("exp", taken)}, -1);
  Graph moves{{a}, {slice_axis(wide, 2, 1, 4), op("softmax", {wide}, {{"axis", int64_t{-1}}})}, {}};
  return {{"train", train, {"x", "y"}, {"loss"}}, {"moves", moves, {"a"}, {"part", "probabilities"}}};
}

std::string model_file() {
  ModelWriter writer;
  for (auto& f : functions()) writer.add(std::move(f));
  writer.set("note", "\"quoted\" \u00e9");
  const ModelWriter::Encoded encoded = writer.encode();
  std::string file = encoded.header;
  for (const Array& a : encoded.data) file += bytes_of(a);
  return file;
}

// The reader takes a path, so that this is a file without a disk.
class MemoryFile {
 public:
  MemoryFile() : fd_(memfd_create("fuzz", MFD_CLOEXEC)), path_("/proc/self/fd/" + std::to_string(fd_)) {}
  ~MemoryFile() { close(fd_); }
  const std::string& hold(const std::string& bytes) {
    BOOST_REQUIRE(ftruncate(fd_, 0) == 0);
    BOOST_REQUIRE(pwrite(fd_, bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
    return path_;
  }

 private:
  int fd_;
  std::string path_;
};

// Files that were saved, and what they hold; MAAS_FUZZ_FILES names more, one in a line.
std::vector<std::string> files() {
  std::vector<std::string> list{model_file()};
  const char* more = std::getenv("MAAS_FUZZ_FILES");
  std::ifstream names(more ? more : "");
  for (std::string name; std::getline(names, name);) {
    std::ifstream file(name, std::ios::binary);
    BOOST_REQUIRE(file.good());
    list.emplace_back(std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>());
  }
  return list;
}

const std::vector<std::string> kJsonWords = {
    "{",    "}",      "[",        "]",       ",",     ":",    "\"",         "\\u",        "\\ud800",
    "null", "true",   "false",    "\"inf\"", "1e400", "\xc3", "\xff",       "-",          "e",
    ".",    "\"a\":", "[[[[[[[[", "{\"a\":", " ",     "\n",   "\"shape\":", "\"dtype\":", "\"params\":"};

std::vector<std::string> with(std::vector<std::string> words, std::initializer_list<const char*> more) {
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

// Ends what runs longer than a second: a graph may well ask for a loop without an end.
class Watchdog {
 public:
  ~Watchdog() {
    over_ = true;
    thread_.join();
    clear_interrupt();
  }
  template <class F>
  void run(F&& f) {
    ++turn_;
    busy_ = true;
    try {
      f();
    } catch (...) {
      busy_ = false;
      throw;
    }
    busy_ = false;
  }

 private:
  std::atomic<bool> over_{false}, busy_{false};
  std::atomic<int64_t> turn_{0};
  std::thread thread_{[this] {
    int64_t seen = -1;
    for (int same = 0; !over_; std::this_thread::sleep_for(std::chrono::milliseconds(100))) {
      same = busy_ && seen == turn_ ? same + 1 : 0;
      seen = turn_;
      if (same > 10) request_interrupt();
    }
  }};
};

// Two for a size that is open.
int64_t small(const Dim& d, SymbolValues& values) {
  SymbolNames names;
  d.collect_symbols(names);
  for (const auto& [symbol, name] : names)
    if (!values.find(symbol)) values.set(symbol, 2);
  return d.eval(values);
}

// Runs a graph of small sizes on zeros, as a server would run a file that somebody handed in.
void run(const Function& f) {
  SymbolValues values;
  std::vector<Array> inputs;
  int64_t bytes = 0;
  for (const Node& x : f.graph.inputs) {
    std::vector<int64_t> shape;
    int64_t count = 16;
    for (const Dim& d : x.shape()) {
      shape.push_back(small(d, values));
      if (shape.back() < 0 || __builtin_mul_overflow(count, shape.back(), &count)) return;
    }
    if ((bytes += count) > (1 << 20)) return;
    inputs.emplace_back(x.dtype(), shape);
    std::memset(inputs.back().data(), 0, static_cast<size_t>(inputs.back().bytes()));
  }
  Program(f.graph, f.name).run(inputs);
}

}  // namespace

BOOST_AUTO_TEST_CASE(json_text) {
  const auto outcomes =
      fuzz::fuzz({R"({"a": [1, -2.5, 1e3, true, null], "b": {"\u00e9\ud83d\ude00\n": "x\/\\"}})", "[]"}, kJsonWords,
                 [](const std::string& s) { return outcome([&] { json::parse(s); }); });
  BOOST_TEST(outcomes.size() > 10u);
}

BOOST_AUTO_TEST_CASE(safetensors_files) {
  MemoryFile file;
  const auto outcomes = fuzz::fuzz(
      files(), with(kJsonWords, {"\"data_offsets\":", "__metadata__", "\"F32\"", "\"U8\""}), [&](const std::string& s) {
        const std::string& path = file.hold(s);
        return outcome([&] { SavedModel::load(path); });
      });
  BOOST_TEST(outcomes.contains("good"));
  BOOST_TEST(outcomes.size() > 10u);
}

BOOST_AUTO_TEST_CASE(graphs) {
  set_memory_limit(int64_t{1} << 30);  // what a graph asks for beyond it is refused, not tried
  MemoryFile file;
  std::map<std::string, Array> tensors;
  std::vector<std::string> corpus;
  for (const std::string& bytes : files()) {
    const Safetensors content = read_safetensors(file.hold(bytes));
    tensors.insert(content.tensors.begin(), content.tensors.end());
    corpus.push_back(content.metadata.at("graph"));
  }
  const TensorSource source = [&](const std::string& name, bool) {
    const auto it = tensors.find(name);
    check(it != tensors.end(), "no such tensor");
    return it->second;
  };
  std::vector<std::string> words = with(kJsonWords, {"\"op\":", "\"in\":", "\"state\":", "\"constant\":", "floordiv("});
  for (const OpInfo* info : all_ops()) words.push_back(text('"', info->name, '"'));
  // Every op with operands that are too few, too many or not what it takes: errors, and nothing else.
  for (const OpInfo* info : all_ops()) {
    for (const char* shape : {"[]", "[3]", "[2,3]", "[1,4,4,2]"}) {
      std::string operands;
      for (int count = 0; count < 7; ++count, operands += count > 1 ? ",[0,0]" : "[0,0]") {
        const std::string graph =
            text(R"({"functions":[{"name":"f","symbols":[],"nodes":[{"input":"x","dtype":"float32","shape":)", shape,
                 R"(},{"op":")", info->name, R"(","in":[)", operands,
                 R"(]}],"inputs":1,"outputs":[["y",[1,0]]],"updates":[]}]})");
        std::map<std::string, VariablePtr> variables;
        BOOST_TEST_CONTEXT(graph) {
          outcome([&] { from_json(json::parse(graph), source, variables); });
        }
      }
    }
  }
  Watchdog watchdog;
  const auto outcomes = fuzz::fuzz(corpus, words, [&](const std::string& s) {
    return outcome([&] {
      std::map<std::string, VariablePtr> variables;
      const auto functions = from_json(json::parse(s), source, variables);
      watchdog.run([&] {
        for (const Function& f : functions) run(f);
      });
    });
  });
  BOOST_TEST(outcomes.contains("good"));
  BOOST_TEST(outcomes.size() > 50u);
}
