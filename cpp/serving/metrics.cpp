#include "serving/metrics.h"

#include <algorithm>
#include <charconv>

namespace maas::serving {

const std::array<double, Histogram::kBuckets> Histogram::kSeconds = {
    2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1, 0.2, 0.5, 1, 2, 5, 10};
const std::array<double, Histogram::kBuckets> Histogram::kRows = {1,  2,  3,  4,  6,   8,   12,  16,   24,
                                                                  32, 48, 64, 96, 128, 256, 512, 1024, 4096};

namespace {

void number(std::string& out, double v) {
  char b[32];
  out.append(b, std::to_chars(b, b + sizeof b, v).ptr);
}

size_t bucket_of(const std::array<double, Histogram::kBuckets>& bounds, double v) {
  return std::lower_bound(bounds.begin(), bounds.end(), v) - bounds.begin();
}

void head(std::string& out, const char* name, const char* type, const char* help) {
  out.append("# HELP ").append(name).append(" ").append(help).append("\n# TYPE ");
  out.append(name).append(" ").append(type).append("\n");
}

void sample(std::string& out, const char* name, const std::string& labels, double v) {
  out += name;
  if (!labels.empty()) out.append("{").append(labels).append("}");
  out += ' ';
  number(out, v);
  out += '\n';
}

// Names match [A-Za-z0-9_.-], so label values need no escapes.
std::string labels_of(const ModelMetrics& m) { return "model=\"" + m.model + "\",version=\"" + m.version + "\""; }

}  // namespace

void Histogram::observe_seconds(Clock::duration d) {
  const int64_t ns = std::max<int64_t>(0, std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
  counts_[bucket_of(kSeconds, static_cast<double>(ns) * 1e-9)].fetch_add(1, kRelaxed);
  sum_.fetch_add(static_cast<uint64_t>(ns), kRelaxed);
}

void Histogram::observe_rows(int64_t rows) {
  counts_[bucket_of(kRows, static_cast<double>(rows))].fetch_add(1, kRelaxed);
  sum_.fetch_add(static_cast<uint64_t>(rows), kRelaxed);
}

void Histogram::render(std::string& out, const char* name, const std::string& labels, bool seconds) const {
  const auto& bounds = seconds ? kSeconds : kRows;
  const std::string base(name);
  uint64_t total = 0;
  for (size_t i = 0; i <= kBuckets; ++i) {
    total += counts_[i].load(kRelaxed);
    std::string le = labels + ",le=\"";
    if (i < kBuckets) {
      number(le, bounds[i]);
    } else {
      le += "+Inf";
    }
    sample(out, (base + "_bucket").c_str(), le + "\"", static_cast<double>(total));
  }
  const double sum = static_cast<double>(sum_.load(kRelaxed));
  sample(out, (base + "_sum").c_str(), labels, seconds ? sum * 1e-9 : sum);
  sample(out, (base + "_count").c_str(), labels, static_cast<double>(total));
}

void HttpMetrics::count(int status) {
  const auto it = std::find(kCodes.begin(), kCodes.end(), status);
  responses[it - kCodes.begin()].fetch_add(1, kRelaxed);
}

std::string render_metrics(const HttpMetrics& http, const RefusalCounts& refusals,
                           const std::vector<const ModelMetrics*>& models) {
  std::string out;
  out.reserve(4096 + models.size() * 8192);
  head(out, "maas_build_info", "gauge", "Version of the server.");
  sample(out, "maas_build_info", "version=\"" MAAS_VERSION "\"", 1);
  head(out, "maas_http_connections", "gauge", "Open HTTP connections.");
  sample(out, "maas_http_connections", "", static_cast<double>(http.connections.load(kRelaxed)));
  head(out, "maas_http_body_bytes", "gauge", "Bytes of request bodies being received.");
  sample(out, "maas_http_body_bytes", "", static_cast<double>(http.body_bytes.load(kRelaxed)));
  head(out, "maas_http_connections_accepted_total", "counter", "HTTP connections accepted.");
  sample(out, "maas_http_connections_accepted_total", "", static_cast<double>(http.connections_total.load(kRelaxed)));
  head(out, "maas_http_connections_refused_total", "counter", "Connections closed because of the connection limit.");
  sample(out, "maas_http_connections_refused_total", "", static_cast<double>(http.connections_refused.load(kRelaxed)));
  head(out, "maas_tls_handshakes_total", "counter", "TLS handshakes by outcome.");
  sample(out, "maas_tls_handshakes_total", "outcome=\"success\"", static_cast<double>(http.tls.done.load(kRelaxed)));
  sample(out, "maas_tls_handshakes_total", "outcome=\"error\"", static_cast<double>(http.tls.failed.load(kRelaxed)));
  head(out, "maas_access_log_lines_total", "counter",
       "Lines of the access log: written, lost to a full queue, or to the file.");
  for (const auto& [outcome, lines] : {std::pair{"written", &http.log.written}, std::pair{"dropped", &http.log.dropped},
                                       std::pair{"failed", &http.log.failed}}) {
    const std::string l = std::string("outcome=\"") + outcome + "\"";
    sample(out, "maas_access_log_lines_total", l, static_cast<double>(lines->load(kRelaxed)));
  }
  head(out, "maas_http_received_bytes_total", "counter", "Bytes read from clients.");
  sample(out, "maas_http_received_bytes_total", "", static_cast<double>(http.bytes_in.load(kRelaxed)));
  head(out, "maas_http_sent_bytes_total", "counter", "Bytes written to clients.");
  sample(out, "maas_http_sent_bytes_total", "", static_cast<double>(http.bytes_out.load(kRelaxed)));
  head(out, "maas_http_responses_total", "counter", "HTTP responses by status code.");
  for (size_t i = 0; i < http.responses.size(); ++i) {
    const bool known = i < HttpMetrics::kCodes.size();
    const std::string code = known ? std::to_string(HttpMetrics::kCodes[i]) : "other";
    const uint64_t n = http.responses[i].load(kRelaxed);
    if (n != 0 || code == "200")
      sample(out, "maas_http_responses_total", "code=\"" + code + "\"", static_cast<double>(n));
  }
  head(out, "maas_auth_failures_total", "counter", "Requests refused for their API key or the want of one.");
  for (size_t i = 0; i < kRefusals.size(); ++i) {
    const std::string l = std::string("code=\"") + kRefusals[i] + "\"";
    sample(out, "maas_auth_failures_total", l, static_cast<double>(refusals[i].load(kRelaxed)));
  }

  head(out, "maas_inference_requests_total", "counter", "Inference requests by outcome.");
  for (const ModelMetrics* m : models) {
    for (size_t t = 0; t < kTransports.size(); ++t) {
      for (size_t i = 0; i < kOutcomes.size(); ++i) {
        const std::string l = labels_of(*m) + ",protocol=\"" + kTransports[t] + "\",outcome=\"" + kOutcomes[i] + "\"";
        sample(out, "maas_inference_requests_total", l, static_cast<double>(m->requests[t][i].load(kRelaxed)));
      }
    }
  }
  head(out, "maas_model_load_seconds", "gauge", "Time that making the model ready took.");
  for (const ModelMetrics* m : models) {
    sample(out, "maas_model_load_seconds", labels_of(*m), static_cast<double>(m->load_ns.load(kRelaxed)) * 1e-9);
  }
  head(out, "maas_model_memory_bytes", "gauge", "Weights, what runs keep, and inputs of batches.");
  for (const ModelMetrics* m : models) {
    sample(out, "maas_model_memory_bytes", labels_of(*m), static_cast<double>(m->memory_bytes.load(kRelaxed)));
  }
  head(out, "maas_batch_close_total", "counter", "Batches run, by the reason why they stopped filling.");
  for (const ModelMetrics* m : models) {
    for (size_t i = 0; i < kCloseReasons.size(); ++i) {
      const std::string l = labels_of(*m) + ",reason=\"" + kCloseReasons[i] + "\"";
      sample(out, "maas_batch_close_total", l, static_cast<double>(m->batch_close[i].load(kRelaxed)));
    }
  }
  head(out, "maas_queue_depth", "gauge", "Requests that wait for a run.");
  for (const ModelMetrics* m : models) {
    sample(out, "maas_queue_depth", labels_of(*m), static_cast<double>(m->queue_depth.load(kRelaxed)));
  }
  head(out, "maas_inference_in_flight", "gauge", "Requests admitted and not yet answered.");
  for (const ModelMetrics* m : models) {
    sample(out, "maas_inference_in_flight", labels_of(*m), static_cast<double>(m->in_flight.load(kRelaxed)));
  }
  struct Row {
    const char *name, *help;
    Histogram ModelMetrics::* field;
    bool seconds;
  };
  for (const Row& r :
       {Row{"maas_inference_queue_seconds", "Time from admission to the start of the run.", &ModelMetrics::queue, true},
        Row{"maas_inference_compute_seconds", "Time of the run a request rode in.", &ModelMetrics::compute, true},
        Row{"maas_inference_latency_seconds", "Time from the parsed request head to the response.",
            &ModelMetrics::latency, true},
        Row{"maas_batch_size", "Rows per run.", &ModelMetrics::batch_size, false}}) {
    head(out, r.name, "histogram", r.help);
    for (const ModelMetrics* m : models) (m->*r.field).render(out, r.name, labels_of(*m), r.seconds);
  }
  return out;
}

}  // namespace maas::serving
