// The load generator of `maas bench`.
#include "bindings/bench.h"

#include <pybind11/stl.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>

#include "bench/bare_server.h"
#include "bench/load.h"

namespace py = pybind11;
using maas::bench::BareServer;
using maas::bench::Histogram;
using maas::bench::LoadOptions;
using maas::bench::LoadResult;

namespace {

// Runs on a thread of its own, so that Ctrl-C is heard here.
LoadResult run_interruptibly(const LoadOptions& options) {
  std::atomic<bool> stop{false};
  auto result = std::async(std::launch::async, [&] { return maas::bench::run_load(options, &stop); });
  for (;;) {
    {
      py::gil_scoped_release release;
      if (result.wait_for(std::chrono::milliseconds(50)) == std::future_status::ready) return result.get();
    }
    if (PyErr_CheckSignals() != 0) {
      stop = true;
      {
        py::gil_scoped_release release;
        result.wait();
      }
      throw py::error_already_set();
    }
  }
}

}  // namespace

void bind_bench(py::module_& m) {
  py::class_<Histogram>(m, "LatencyHistogram", "Counts of durations in nanoseconds; percentiles to better than 1 %.")
      .def(py::init<>())
      .def("record", &Histogram::record, py::arg("ns"), py::arg("times") = 1)
      .def("add", &Histogram::add, py::arg("other"))
      .def("percentile", &Histogram::percentile, py::arg("share"), "Nanoseconds that this share does not pass.")
      .def_property_readonly("count", &Histogram::count)
      .def_property_readonly("min", &Histogram::min)
      .def_property_readonly("max", &Histogram::max)
      .def_property_readonly("mean", &Histogram::mean);
  py::class_<LoadOptions>(m, "LoadOptions", "What the load generator does; cpp/bench/load.h says what each is.")
      .def(py::init<>())
      .def_readwrite("host", &LoadOptions::host)
      .def_readwrite("port", &LoadOptions::port)
      .def_property(
          "requests", [](const LoadOptions& o) { return o.requests.size(); },
          [](LoadOptions& o, const std::vector<py::bytes>& list) { o.requests.assign(list.begin(), list.end()); },
          "Whole requests as bytes; read back as their number.")
      .def_readwrite("connections", &LoadOptions::connections)
      .def_readwrite("threads", &LoadOptions::threads)
      .def_readwrite("rate", &LoadOptions::rate)
      .def_readwrite("poisson", &LoadOptions::poisson)
      .def_readwrite("seconds", &LoadOptions::seconds)
      .def_readwrite("warm_up", &LoadOptions::warm_up)
      .def_readwrite("requests_limit", &LoadOptions::requests_limit)
      .def_readwrite("timeout", &LoadOptions::timeout)
      .def_readwrite("keep_alive", &LoadOptions::keep_alive)
      .def_readwrite("cancel", &LoadOptions::cancel)
      .def_readwrite("seed", &LoadOptions::seed)
      .def_readwrite("allow_remote", &LoadOptions::allow_remote);
  py::class_<LoadResult>(m, "LoadResult")
      .def_readonly("latency", &LoadResult::latency)
      .def_readonly("service", &LoadResult::service)
      .def_readonly("statuses", &LoadResult::statuses)
      .def_readonly("answers", &LoadResult::answers)
      .def_readonly("connect_failed", &LoadResult::connect_failed)
      .def_readonly("timed_out", &LoadResult::timed_out)
      .def_readonly("closed_early", &LoadResult::closed_early)
      .def_readonly("invalid", &LoadResult::invalid)
      .def_readonly("cancelled", &LoadResult::cancelled)
      .def_readonly("unsent", &LoadResult::unsent)
      .def_readonly("sent", &LoadResult::sent)
      .def_readonly("bytes_in", &LoadResult::bytes_in)
      .def_readonly("bytes_out", &LoadResult::bytes_out)
      .def_readonly("seconds", &LoadResult::seconds)
      .def_property_readonly("first_answer", [](const LoadResult& r) { return py::bytes(r.first_answer); })
      .def_property_readonly("first_refusal", [](const LoadResult& r) { return py::bytes(r.first_refusal); });
  m.def("run_load", &run_interruptibly, py::arg("options"), "Asks a server as `options` say; Ctrl-C ends it.");
  py::class_<BareServer>(m, "BareServer", "A server of Beast alone that answers everything with one body.")
      .def(py::init([](const py::bytes& body) { return std::make_unique<BareServer>(std::string(body)); }),
           py::arg("body"))
      .def_property_readonly("port", &BareServer::port)
      .def("stop", &BareServer::stop, py::call_guard<py::gil_scoped_release>());
}
