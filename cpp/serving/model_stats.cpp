#include "serving/model_stats.h"

namespace maas::serving {
namespace {

void write(std::string& out, const char* name, uint64_t count, uint64_t ns) {
  out.append(out.back() == '{' ? "\"" : ",\"").append(name).append("\":{\"count\":").append(std::to_string(count));
  out.append(",\"ns\":").append(std::to_string(ns)).append("}");
}

void write(std::string& out, const char* name, const Duration& d) { write(out, name, d.count.load(), d.ns.load()); }

}  // namespace

void ModelStats::ran(int64_t batch, Clock::duration time) {
  run.add(time);
  rows.fetch_add(static_cast<uint64_t>(batch), std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  Runs& r = batches_[batch];
  ++r.count;
  r.ns += static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(time).count());
}

std::map<int64_t, ModelStats::Runs> ModelStats::batches() const {
  std::lock_guard lock(mutex_);
  return batches_;
}

std::string stats_json(const ModelInfo& info, const ModelStats& s) {
  std::string out = "{\"name\":\"" + info.name + "\",\"version\":\"" + info.version + "\"";
  out += ",\"last_inference\":" + std::to_string(s.last_ms.load());
  out += ",\"inference_count\":" + std::to_string(s.rows.load());
  out += ",\"execution_count\":" + std::to_string(s.run.count.load()) + ",\"inference_stats\":{";
  write(out, "success", s.success);
  write(out, "fail", s.fail);
  write(out, "queue", s.queue);
  write(out, "compute_input", s.read);
  write(out, "compute_infer", s.run);
  write(out, "compute_output", s.write);
  write(out, "cache_hit", 0, 0);
  write(out, "cache_miss", 0, 0);
  out += "},\"response_stats\":{},\"batch_stats\":[";
  for (const auto& [rows, r] : s.batches()) {
    out += out.back() == '[' ? "{\"batch_size\":" : ",{\"batch_size\":";
    out += std::to_string(rows);
    // Rows go into the batch and out of it one request at a time, so a batch has no such times of its own.
    write(out, "compute_input", r.count, 0);
    write(out, "compute_infer", r.count, r.ns);
    write(out, "compute_output", r.count, 0);
    out += '}';
  }
  return out + "],\"memory_usage\":[]}";
}

}  // namespace maas::serving
