#include <atomic>
#include <boost/test/unit_test.hpp>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <random>
#include <thread>

#include "core/allocator.h"
#include "core/error.h"
#include "core/interrupt.h"
#include "core/threads.h"
#include "ops/build.h"
#include "runtime/eager.h"
#include "runtime/program.h"

using namespace maas;
using Clock = std::chrono::steady_clock;

namespace {

// The sanitizers' runs set it; by hand it may be long.
double seconds() {
  const char* text = std::getenv("MAAS_STRESS_SECONDS");
  return text ? std::atof(text) : 2;
}

Array numbers(std::vector<int64_t> shape, uint32_t seed, float scale = 1) {
  Array a(DType::f32, std::move(shape));
  std::mt19937 random(seed);
  for (int64_t i = 0; i < a.size(); ++i)
    a.as<float>()[i] = scale * (static_cast<float>(random() % 2048) / 1024.f - 1.f);
  return a;
}

VariablePtr variable(std::vector<int64_t> shape, uint32_t seed) {
  return std::make_shared<Variable>(numbers(std::move(shape), seed, 0.2f), "w", true);
}

// Two layers; a training step (mean squared error, Adam) and an inference program over the same variables.
struct Model {
  static constexpr int64_t in = 24, hidden = 96, out = 10;
  VariablePtr w1 = variable({in, hidden}, 1), w2 = variable({hidden, out}, 2), steps;
  std::vector<VariablePtr> slots;
  std::shared_ptr<Program> infer, train;

  Model() {
    steps = std::make_shared<Variable>(make_scalar(DType::f32, 0), "steps", false);
    {
      const Node x = input_node({DType::f32, {Dim::symbol("batch"), in}, {}}, "x");
      infer = std::make_shared<Program>(Graph{{x}, {softmax(forward(x, state_node(w1), state_node(w2)))}, {}}, "infer");
    }
    const Dim batch = Dim::symbol("batch");
    const Node x = input_node({DType::f32, {batch, in}, {}}, "x"), y = input_node({DType::f32, {batch, out}, {}}, "y");
    const Node a = state_node(w1), b = state_node(w2), t = state_node(steps);
    const Node error = forward(x, a, b) - y;
    const Node loss = sum(error * error, {0, 1}, false);
    const Nodes gradient = gradients(loss, {a, b});
    Graph graph{{x, y}, {loss}, {{steps, t + 1.0}}};
    int k = 0;
    for (const auto& [v, node] : {std::pair{w1, a}, std::pair{w2, b}}) {
      for (int s = 0; s < 2; ++s) {
        Array zeros(DType::f32, v->shape());
        std::memset(zeros.data(), 0, zeros.bytes());
        slots.push_back(std::make_shared<Variable>(zeros, "slot", false));
      }
      const Node m = state_node(slots[slots.size() - 2]), s = state_node(slots.back());
      const Node next = op("adam", {scalar_node(DType::f32, 1e-3), node, gradient[static_cast<size_t>(k++)], m, s});
      graph.updates.push_back({v, next});
      graph.updates.push_back({slots[slots.size() - 2], next.output(1)});
      graph.updates.push_back({slots.back(), next.output(2)});
    }
    train = std::make_shared<Program>(graph, "train");
  }
  static Node forward(const Node& x, const Node& a, const Node& b) { return matmul(unary("relu", matmul(x, a)), b); }
  static Node softmax(const Node& x) { return op("softmax", {x}, {{"axis", int64_t{-1}}}); }
};

bool sums_to_one(const Array& y) {
  for (int64_t r = 0; r < y.shape[0]; ++r) {
    double sum = 0;
    for (int64_t c = 0; c < y.shape[1]; ++c) sum += static_cast<double>(y.as<float>()[r * y.shape[1] + c]);
    if (!(std::abs(sum - 1) < 1e-4)) return false;
  }
  return true;
}

// Runs every function again and again in a thread of its own until the time is over.
void in_threads(double length, const std::vector<std::function<void(uint32_t)>>& functions) {
  const auto end = Clock::now() + std::chrono::duration<double>(length);
  std::atomic<int> failures{0};
  std::vector<std::thread> threads;
  for (size_t i = 0; i < functions.size(); ++i)
    threads.emplace_back([&, i] {
      std::mt19937 random(static_cast<uint32_t>(i));
      while (Clock::now() < end) try {
          functions[i](random());
        } catch (const Error& e) {
          if (e.kind() == ErrorKind::interrupted) continue;
          if (failures++ == 0) std::fprintf(stderr, "%s\n", e.what());
        }
    });
  for (auto& t : threads) t.join();
  BOOST_TEST(failures == 0);
}

}  // namespace

BOOST_AUTO_TEST_CASE(eight_threads_on_one_model) {
  ThreadPool::instance().resize(4);
  Model model;
  std::atomic<int64_t> trained{0}, wrong{0};
  // Large batches run a few rows at a time, each member of the team with a context of its own.
  const Array large = numbers({4000, Model::in}, 0);
  BOOST_TEST(model.infer->rows_at_once({large}) < 4000);
  const auto call = [&](uint32_t seed) {
    const int64_t rows = seed % 5 ? seed % 40 : seed % 2 ? seed % 700 : 4000;
    const Array y = model.infer->run({numbers({rows, Model::in}, seed)})[0];
    if (!sums_to_one(y)) ++wrong;
  };
  const auto fit = [&](uint32_t seed) {
    const int64_t rows = 1 + seed % 64;
    const Array x = numbers({rows, Model::in}, seed), y = numbers({rows, Model::out}, seed + 1);
    if (!std::isfinite(model.train->run({x, y})[0].as<float>()[0])) ++wrong;
    ++trained;
  };
  const auto eager = [&](uint32_t seed) {
    const std::vector<int64_t> shape{1 + seed % 7, 1 + seed % 300};
    const Array a = numbers(shape, seed), b = numbers(shape, seed + 1);
    const Array y = eager_program(make_op("add", {}), {a, b})->run({a, b})[0];
    for (int64_t i = 0; i < y.size(); ++i)
      if (y.as<float>()[i] != a.as<float>()[i] + b.as<float>()[i]) ++wrong;
    if (seed % 64 == 0) clear_eager();
  };
  const auto state = [&](uint32_t seed) {
    if (seed % 2) model.w2->write(model.w2->read());
    for (int64_t i = 0; const float v : {model.w1->read().as<float>()[0], model.steps->read().as<float>()[0]})
      if (!std::isfinite(v) || i++ > 2) ++wrong;
    std::this_thread::sleep_for(std::chrono::microseconds(seed % 300));
  };
  in_threads(seconds(), {call, call, call, fit, fit, eager, eager, state});
  BOOST_TEST(wrong == 0);
  BOOST_TEST(trained > 0);
  BOOST_TEST(model.steps->read().as<float>()[0] == static_cast<float>(trained.load()));
}

BOOST_AUTO_TEST_CASE(models_are_made_and_dropped_while_others_run) {
  ThreadPool::instance().resize(3);
  auto shared = std::make_shared<Model>();
  std::mutex mutex;
  std::atomic<int64_t> wrong{0};
  const auto current = [&] {
    std::lock_guard guard(mutex);
    return shared;
  };
  const auto replace = [&](uint32_t) {
    auto fresh = std::make_shared<Model>();
    std::lock_guard guard(mutex);
    shared.swap(fresh);
  };
  const auto call = [&](uint32_t seed) {
    const auto program = current()->infer;  // outlives its model
    if (!sums_to_one(program->run({numbers({seed % 50, Model::in}, seed)})[0])) ++wrong;
  };
  const auto fit = [&](uint32_t seed) {
    const auto model = current();
    model->train->run({numbers({9, Model::in}, seed), numbers({9, Model::out}, seed + 1)});
  };
  const auto resize = [&](uint32_t seed) {
    ThreadPool::instance().resize(1 + static_cast<int>(seed % 4));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  };
  in_threads(seconds() / 2, {replace, call, call, fit, resize});
  BOOST_TEST(wrong == 0);
}

BOOST_AUTO_TEST_CASE(interrupts_and_bad_data_leave_state_alone) {
  ThreadPool::instance().resize(4);
  const auto table = variable({50, 64}, 3), count = std::make_shared<Variable>(make_scalar(DType::f32, 0), "n", false);
  const Node rows = input_node({DType::i32, {Dim::symbol("rows")}, {}}, "rows");
  const Node taken = op("take", {state_node(table), rows}, {{"axis", int64_t{0}}});
  const Node total = sum(taken, {0, 1}, false);
  Program program(Graph{{rows}, {total}, {{count, state_node(count) + 1.0}}}, "counted");
  std::atomic<int64_t> good{0}, bad{0}, stopped{0}, wrong{0};
  const auto run = [&](uint32_t seed) {
    Array index(DType::i32, {1 + seed % 3000});
    for (int64_t i = 0; i < index.size(); ++i) index.as<int32_t>()[i] = static_cast<int32_t>((seed + i) % 50);
    const bool spoilt = seed % 3 == 0;
    if (spoilt) index.as<int32_t>()[index.size() - 1] = 50;
    try {
      program.run({index});
      ++good;
      if (spoilt) ++wrong;
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::index)
        ++(spoilt ? bad : wrong);
      else
        ++(e.kind() == ErrorKind::interrupted ? stopped : wrong);
    }
  };
  const auto interrupt = [](uint32_t seed) {
    request_interrupt();
    std::this_thread::sleep_for(std::chrono::microseconds(seed % 500));
  };
  in_threads(seconds() / 2, {run, run, run, interrupt});
  clear_interrupt();
  BOOST_TEST(wrong == 0);
  BOOST_TEST(good > 0);
  BOOST_TEST(bad > 0);
  BOOST_TEST(count->read().as<float>()[0] == static_cast<float>(good.load()));
}
