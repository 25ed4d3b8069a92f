// Threads, instruction sets, memory.
#include "bindings/common.h"
#include "core/allocator.h"
#include "core/isa.h"
#include "core/threads.h"
#include "runtime/eager.h"
#include "runtime/peak.h"

namespace maas::bindings {

#ifdef __clang__
static const char compiler[] = __VERSION__;  // names itself
#else
static const char compiler[] = "GCC " __VERSION__;
#endif

void bind_system(py::module_& m) {
  m.def("set_num_threads", [](int n) {
    py::gil_scoped_release release;
    ThreadPool::instance().resize(n);
  });
  m.def("get_num_threads", [] { return ThreadPool::instance().size(); });
  m.def("isa", [] { return to_string(active_isa()); });
  m.def("machine_isa", [] { return to_string(machine_isa()); });
  m.def("set_isa", [](const std::string& level) { set_active_isa(isa_level(level)); });
  m.def("cpu_info", [] {
    const CpuInfo& c = cpu_info();
    py::dict d;
    d["brand"] = c.brand;
    d["l1d_bytes"] = c.l1d_bytes;
    d["l2_bytes"] = c.l2_bytes;
    d["l3_bytes"] = c.l3_bytes;
    d["logical_cpus"] = c.logical_cpus;
    return d;
  });
  m.def(
      "measure_peak",
      [](double seconds) {
        Peak peak;
        {
          py::gil_scoped_release release;
          peak = measure_peak(ThreadPool::instance().size(), seconds);
        }
        return py::make_tuple(peak.gflops, peak.gbytes);
      },
      py::arg("seconds") = 0.03, "(GFLOP/s in float32, GB/s) of all threads, measured now.");
  m.def("build_info", [] {
    py::dict d;
    d["compiler"] = compiler;
    d["serving"] = bool(MAAS_SERVING);
    d["eigen"] = bool(MAAS_EIGEN);
    d["openssl"] = bool(MAAS_OPENSSL);
    return d;
  });
  m.def("memory_stats", [] {
    const MemoryStats s = HostAllocator::instance().stats();
    py::dict d;
    d["current"] = s.current;
    d["peak"] = s.peak;
    d["cached"] = s.cached;
    const EagerStats eager = eager_stats();
    d["eager_programs"] = eager.programs;
    d["eager_bytes"] = eager.bytes;
    return d;
  });
  m.def("trim_memory", [] {
    clear_eager();
    return HostAllocator::instance().trim();
  });
}

}  // namespace maas::bindings
