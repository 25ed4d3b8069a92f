// The models that a server answers for, by name. A reader sees the table as it was when it asked; a model that was
// replaced lives until its last request is answered.
#pragma once

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "serving/batcher.h"
#include "serving/images.h"
#include "serving/model_stats.h"

namespace maas::serving {

struct Model {
  std::shared_ptr<Servable> servable;
  std::shared_ptr<ModelMetrics> metrics;
  std::unique_ptr<Batcher> batcher;
  std::string metadata, config;  // the JSON answers, made once
  std::shared_ptr<ModelStats> stats;
  bool batched = false;
  std::vector<std::optional<ImageInput>> images;  // by input
  // An image among several inputs: none of them goes into a batch before the image is decoded.
  bool may_wait_for_images = false;
  bool rows_known = false;  // input row shapes have no free size, so rows can be reserved at the first tensor
};

class ModelTable {
  using Map = std::map<std::string, std::shared_ptr<Model>, std::less<>>;

 public:
  struct End {};
  // Keeps the table it goes through.
  class Iterator {
   public:
    Iterator(std::shared_ptr<const Map> map, Map::const_iterator at) : map_(std::move(map)), at_(at) {}
    const Map::value_type& operator*() const { return *at_; }
    const Map::value_type* operator->() const { return &*at_; }
    Iterator& operator++() {
      ++at_;
      return *this;
    }
    bool operator==(End) const { return at_ == map_->end(); }

   private:
    std::shared_ptr<const Map> map_;
    Map::const_iterator at_;
  };

  ModelTable();
  ~ModelTable();
  Iterator begin() const;
  End end() const { return {}; }
  Iterator find(std::string_view name) const;

  void publish(std::shared_ptr<Model> model);  // in place of the one with its name
  bool withdraw(const std::string& name);
  void stop(Clock::duration drain);  // ends all models; no more can be published. Idempotent

 private:
  std::shared_ptr<const Map> map() const;
  void retire(std::shared_ptr<Model> model);
  void reap();

  mutable std::mutex mutex_;  // guards map_
  std::shared_ptr<const Map> map_ = std::make_shared<const Map>();
  std::mutex change_mutex_, retired_mutex_, stop_mutex_;
  std::condition_variable retired_changed_;
  std::vector<std::shared_ptr<Model>> retired_;
  bool closed_ = false;  // guarded by change_mutex_
  bool stopping_ = false;
  std::thread thread_;  // a batcher may not end on a thread of its own, where its last request is answered
};

}  // namespace maas::serving
