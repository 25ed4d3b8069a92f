#include "serving/model_store.h"

#include "core/error.h"
#include "core/json.h"
#include "serving/codec.h"
#include "serving/content_coding.h"
#include "serving/failure.h"

namespace maas::serving {
namespace {

constexpr size_t kMaxTasks = 64;
constexpr int kMaxDepth = 16;

json::Value object_of(std::string_view body) {
  json::Value v = json::parse(body.empty() ? "{}" : body, kMaxDepth);
  if (v.get<json::Object>() == nullptr) throw Error(ErrorKind::value, "the request must be a JSON object");
  return v;
}

void write_value(std::string& out, const json::Value& v) {
  if (const auto* b = v.get<bool>()) {
    out += *b ? "true" : "false";
  } else if (const auto* n = v.get<int64_t>()) {
    out += std::to_string(*n);
  } else if (const auto* d = v.get<double>()) {
    json::write_number(out, *d);
  } else if (const auto* s = v.get<std::string>()) {
    json::write_string(out, *s);
  } else {
    throw Error(ErrorKind::value, "parameters must be strings, numbers or booleans");
  }
}

}  // namespace

struct StoreQueue::Task final : Pending, std::enable_shared_from_this<Task> {
  Act act = Act::index;
  std::string name, body, content_encoding;
  std::shared_ptr<const Key> key;
  std::weak_ptr<Waiter> waiter;
  int status = 200;
  std::string text;  // body, or the error
  void render(Response& response) override {
    if (status != 200) return response.error(status, text);
    response.body = std::move(text);
  }
  void drop() noexcept override {}
};

StoreQueue::StoreQueue(std::shared_ptr<ModelStore> store) : store_(std::move(store)) {
  thread_ = std::thread([this] { work(); });
}

void StoreQueue::stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  std::lock_guard one(stop_mutex_);
  if (thread_.joinable()) thread_.join();
}

std::shared_ptr<Pending> StoreQueue::ask(Act act, std::string name, const Request& request,
                                         std::weak_ptr<Waiter> waiter, Response& response) {
  auto task = std::make_shared<Task>();
  task->act = act;
  task->name = std::move(name);
  task->body = request.body;
  task->content_encoding = request.content_encoding;
  task->key = request.key;
  task->waiter = std::move(waiter);
  {
    std::lock_guard lock(mutex_);
    if (stopping_) {
      response.error(503, "the server is shutting down");
      return nullptr;
    }
    if (tasks_.size() >= kMaxTasks) {
      response.error(429, "too many requests to load or unload models");
      response.headers = "Retry-After: 1\r\n";
      return nullptr;
    }
    tasks_.push_back(task);
  }
  changed_.notify_one();
  return task;
}

void StoreQueue::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
    if (tasks_.empty()) return;
    const std::shared_ptr<Task> task = std::move(tasks_.front());
    tasks_.pop_front();
    const bool late = stopping_;
    lock.unlock();
    if (late) {
      task->status = 503;
      task->text = "the server is shutting down";
    } else {
      perform(*task);
    }
    if (const auto waiter = task->waiter.lock()) waiter->job_done(task);
    lock.lock();
  }
}

void StoreQueue::perform(Task& task) noexcept {
  try {
    Request request;
    request.body = task.body;
    request.content_encoding = task.content_encoding;
    request.max_body = kMaxStoreBody;
    const PlainBody plain(request);
    if (plain.status != 0) {
      task.status = plain.status;
      task.text = plain.problem;
      return;
    }
    switch (task.act) {
      case Act::index: {
        const bool ready_only = index_ready_only(plain.body);
        task.text = index_json(store_->index(), ready_only, task.key.get());
        break;
      }
      case Act::load:
        store_->load(task.name, repository_parameters(plain.body));
        break;
      case Act::unload:
        store_->unload(task.name, repository_parameters(plain.body));
        break;
    }
  } catch (...) {
    describe_failure(task.name, task.status, task.text);
  }
}

std::string index_json(const std::vector<StoredModel>& models, bool ready_only, const Key* key) {
  std::string out = "[";
  for (const StoredModel& m : models) {
    if (ready_only && m.state != "READY") continue;
    if (key && !key->sees(m.name)) continue;
    out += out.back() == '[' ? "{\"name\":" : ",{\"name\":";
    write_json_string(out, m.name);
    out += ",\"version\":";
    write_json_string(out, m.version);
    out += ",\"state\":";
    write_json_string(out, m.state);
    out += ",\"reason\":";
    write_json_string(out, m.reason);
    out += '}';
  }
  return out + "]";
}

std::string repository_parameters(std::string_view body) {
  const json::Value v = object_of(body);
  const json::Value* p = v.find("parameters");
  if (p == nullptr) return "{}";
  const auto* members = p->get<json::Object>();
  if (members == nullptr) throw Error(ErrorKind::value, "'parameters' must be an object");
  std::string out = "{";
  for (const auto& [key, value] : *members) {
    if (out.back() != '{') out += ',';
    json::write_string(out, key);
    out += ':';
    write_value(out, value);
  }
  return out + "}";
}

bool index_ready_only(std::string_view body) {
  const json::Value v = object_of(body);
  const json::Value* ready = v.find("ready");
  if (ready == nullptr) return false;
  if (ready->get<bool>() == nullptr) throw Error(ErrorKind::value, "'ready' must be true or false");
  return *ready->get<bool>();
}

}  // namespace maas::serving
