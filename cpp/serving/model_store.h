// Where models come from: what the repository routes ask for. The control plane implements it.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "serving/service.h"

namespace maas::serving {

struct StoredModel {
  std::string name, version, state, reason;  // state: READY, UNAVAILABLE or LOADING
};

class ModelStore {
 public:
  virtual ~ModelStore() = default;
  // All models that could be loaded, with those that are. Called on a thread of its own, while one of the two others
  // may run on another.
  virtual std::vector<StoredModel> index() = 0;
  // Returns once the model answers. `parameters` is a JSON object, "{}" if there are none. Throws maas::Error; the text
  // of value errors goes to the client.
  virtual void load(const std::string& name, const std::string& parameters) = 0;
  virtual void unload(const std::string& name, const std::string& parameters) = 0;
};

// One thread that does what clients asked of a store, one thing after another: loading takes seconds.
class StoreQueue {
 public:
  explicit StoreQueue(std::shared_ptr<ModelStore> store);
  ~StoreQueue() { stop(); }
  void stop();  // what runs ends, what waits and what comes is refused. Idempotent
  enum class Act : uint8_t { index, load, unload };
  // The answer comes through `waiter`. Null, with a refusal in `response`, if too many wait already.
  // The body is read on the thread of the queue, where it may take its time.
  std::shared_ptr<Pending> ask(Act act, std::string name, const Request& request, std::weak_ptr<Waiter> waiter,
                               Response& response);

 private:
  struct Task;
  void work();
  void perform(Task& task) noexcept;

  std::shared_ptr<ModelStore> store_;
  std::mutex mutex_, stop_mutex_;
  std::condition_variable changed_;
  std::deque<std::shared_ptr<Task>> tasks_;
  bool stopping_ = false;
  std::thread thread_;
};

// What a request to load, unload or list may have as its body, packed or not.
inline constexpr size_t kMaxStoreBody = size_t{1} << 20;

// JSON array of the repository index, of the models that `key` sees; null sees all.
std::string index_json(const std::vector<StoredModel>& models, bool ready_only, const Key* key);
// The object `parameters` of a load or unload body as JSON text; an empty body has none. Throws for anything else.
std::string repository_parameters(std::string_view body);
// `ready` of the body of a repository index request.
bool index_ready_only(std::string_view body);

}  // namespace maas::serving
