#include "runtime/plan.h"

#include <boost/test/unit_test.hpp>
#include <cstring>
#include <ctime>

#include "ops/build.h"
#include "runtime/context.h"

using namespace maas;

namespace {

// Of this thread's processor time: what somebody else does on the machine does not count.
double microseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

Array zeros(std::vector<int64_t> shape) {
  Array a(DType::f32, std::move(shape));
  std::memset(a.data(), 0, a.bytes());
  return a;
}
Node weight(std::vector<int64_t> shape) {
  return state_node(std::make_shared<Variable>(zeros(std::move(shape)), "w", true));
}

// ResNet-50: convolutions with a scale and a shift, as batch norm is when it does not train.
struct Net {
  Node conv(const Node& x, int64_t filters, int64_t kernel, int64_t stride, bool relu) {
    const int64_t channels = x.shape().back().constant();
    const Node w = weight({kernel, kernel, channels, filters});
    parameters.push_back(w);
    Node y = op("conv", {x, w}, {{"strides", std::vector<int64_t>{stride, stride}}, {"padding", std::string("same")}});
    parameters.push_back(weight({filters}));
    parameters.push_back(weight({filters}));
    y = y * parameters[parameters.size() - 2] + parameters.back();
    return relu ? unary("relu", y) : y;
  }
  Node block(Node x, int64_t filters, int64_t stride, bool project) {
    const Node way = project ? conv(x, 4 * filters, 1, stride, false) : x;
    x = conv(x, filters, 1, stride, true);
    x = conv(x, filters, 3, 1, true);
    return unary("relu", conv(x, 4 * filters, 1, 1, false) + way);
  }
  Graph chain(int64_t blocks) {
    const Node x = input_node({DType::f32, {Dim::symbol("batch"), 8, 8, 16}, {}}, "x");
    Node y = x;
    for (int64_t b = 0; b < blocks; ++b) y = block(y, 4, 1, false);
    return {{x}, {y}, {}};
  }
  Graph inference() {
    const Node x = input_node({DType::f32, {Dim::symbol("batch"), 64, 64, 3}, {}}, "x");
    Node y = conv(x, 64, 7, 2, true);
    const int64_t filters[] = {64, 128, 256, 512}, blocks[] = {3, 4, 6, 3};
    for (int stage = 0; stage < 4; ++stage)
      for (int64_t b = 0; b < blocks[stage]; ++b) y = block(y, filters[stage], stage && !b ? 2 : 1, !b);
    y = op("mean", {y}, {{"axis", std::vector<int64_t>{1, 2}}});
    parameters.push_back(weight({2048, 1000}));
    return {{x}, {matmul(y, parameters.back())}, {}};
  }
  Graph training() {
    Graph graph = inference();
    const Node loss = sum(graph.outputs[0] * graph.outputs[0], {0, 1}, false);
    const Nodes gradient = gradients(loss, parameters);
    graph.outputs = {loss};
    for (size_t i = 0; i < parameters.size(); ++i) {
      const Node& w = parameters[i];
      const Node next = op("adam", {scalar_node(DType::f32, 1e-3), w, gradient[i], weight(shape(w)), weight(shape(w))});
      graph.updates.push_back({w->variable, next});
      for (int k = 1; k < 3; ++k)
        graph.updates.push_back({next->inputs[static_cast<size_t>(k + 2)]->variable, next.output(k)});
    }
    return graph;
  }
  static std::vector<int64_t> shape(const Node& w) { return w->variable->shape(); }
  Nodes parameters;
};

// The best of several rounds, in microseconds.
double planning(const Graph& graph, int rounds, std::shared_ptr<const Plan>* plan = nullptr) {
  double best = 1e18;
  for (int round = 0; round < rounds; ++round) {
    const double begin = microseconds();
    const auto made = Plan::build(graph, "net");
    best = std::min(best, microseconds() - begin);
    if (plan) *plan = made;
  }
  return best;
}

// Instrumented code is slower by far.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr double kSlower = 30;
#else
constexpr double kSlower = 1;
#endif
// Machines differ, and share their caches: bounds are this much above what it should be.
constexpr double kMargin = 3 * kSlower;

// `plan_us`, `bind_us`: what it should cost.
void cost(const char* name, const Graph& graph, double plan_us, double bind_us) {
  double bind = 1e9;
  std::shared_ptr<const Plan> plan;
  const double build = planning(graph, 8, &plan);
  const int64_t batch = plan->symbols.at(0).first;
  const auto sizes = [&](int64_t n) {
    SymbolValues s;
    s.set(batch, n);
    return s;
  };
  const double begin = microseconds();
  const auto memory = std::make_shared<const MemoryPlan>(plan_memory(*plan, sizes(4)));
  const double offsets = microseconds() - begin;
  std::vector<Array> prepared;
  for (const PlanValue& v : plan->values) {
    if (v.place != Place::prepared) continue;
    prepared.resize(std::max(prepared.size(), static_cast<size_t>(v.slot) + 1));
    prepared[static_cast<size_t>(v.slot)] = Array(v.spec.dtype, eval(v.spec.shape, {}));
  }
  Context context(plan, plan->steps, memory, prepared);
  MemoryClaim claim;
  for (int64_t i = 0; i < 200; ++i) {
    const SymbolValues s = sizes(1 + i % 4);
    const double start = microseconds();
    BOOST_REQUIRE(context.bind_sizes(s));
    const double sized = microseconds() - start;
    if (i < 4) context.bind_io({zeros({4, 64, 64, 3})}, {zeros({4, 1000})});
    const double again = microseconds();
    context.bind_steps(claim);
    bind = std::min(bind, sized + microseconds() - again);
  }
  const MemoryReport report = report_memory(*plan, *memory);
  BOOST_TEST_MESSAGE(name << ": " << plan->prepare.size() << " + " << plan->steps.size() << " steps, plan "
                          << build / 1e3 << " ms, offsets " << offsets / 1e3 << " ms, binding new sizes " << bind
                          << " us; " << report.str());
  BOOST_TEST(build <= kMargin * plan_us);
  BOOST_TEST(bind <= kMargin * bind_us);
  BOOST_TEST(report.arena >= report.peak);
  BOOST_TEST(static_cast<double>(report.arena) <= 1.15 * static_cast<double>(report.peak));
}

}  // namespace

BOOST_AUTO_TEST_CASE(cost_of_resnet_50) {
  cost("inference", Net().inference(), 5e3, 20);
  cost("training", Net().training(), 20e3, 60);
}

BOOST_AUTO_TEST_CASE(planning_takes_time_in_proportion_to_the_nodes) {
  const double few = planning(Net().chain(16), 8), many = planning(Net().chain(64), 8);
  BOOST_TEST_MESSAGE("16 blocks " << few << " us, 64 blocks " << many << " us");
  BOOST_TEST(many <= 8 * few);  // 4 where each node costs the same, 16 where each costs as much as those before it
}
