#include "serving/model_table.h"

#include <algorithm>
#include <utility>

#include "core/error.h"

namespace maas::serving {

ModelTable::ModelTable() {
  thread_ = std::thread([this] { reap(); });
}

ModelTable::~ModelTable() { stop(Clock::duration::zero()); }

std::shared_ptr<const ModelTable::Map> ModelTable::map() const {
  std::lock_guard lock(mutex_);
  return map_;
}

ModelTable::Iterator ModelTable::begin() const {
  auto m = map();
  const auto at = m->begin();
  return {std::move(m), at};
}

ModelTable::Iterator ModelTable::find(std::string_view name) const {
  auto m = map();
  const auto at = m->find(name);
  return {std::move(m), at};
}

void ModelTable::publish(std::shared_ptr<Model> model) {
  std::lock_guard one(change_mutex_);
  if (closed_) throw Error(ErrorKind::runtime, "the server has stopped");
  auto next = std::make_shared<Map>(*map());
  auto& place = (*next)[model->metrics->model];
  std::shared_ptr<Model> old = std::exchange(place, std::move(model));
  std::shared_ptr<const Map> before = std::move(next);
  {
    std::lock_guard lock(mutex_);
    map_.swap(before);
  }
  before.reset();
  retire(std::move(old));
}

bool ModelTable::withdraw(const std::string& name) {
  std::lock_guard one(change_mutex_);
  if (closed_) return false;
  auto next = std::make_shared<Map>(*map());
  const auto it = next->find(name);
  if (it == next->end()) return false;
  std::shared_ptr<Model> old = std::move(it->second);
  next->erase(it);
  std::shared_ptr<const Map> before = std::move(next);
  {
    std::lock_guard lock(mutex_);
    map_.swap(before);
  }
  before.reset();
  retire(std::move(old));
  return true;
}

void ModelTable::retire(std::shared_ptr<Model> model) {
  // This is never a thread of the model's own, so where nobody holds it any more it ends here.
  if (!model || model.use_count() == 1) return;
  std::lock_guard lock(retired_mutex_);
  retired_.push_back(std::move(model));
  retired_changed_.notify_one();
}

void ModelTable::reap() {
  std::unique_lock lock(retired_mutex_);
  while (!stopping_) {
    if (retired_.empty()) {
      retired_changed_.wait(lock);
      continue;
    }
    // Nobody can find a retired model any more, so the last reference is here to stay the last.
    const auto kept = std::partition(retired_.begin(), retired_.end(), [](const auto& m) { return m.use_count() > 1; });
    std::vector<std::shared_ptr<Model>> ended(std::make_move_iterator(kept), std::make_move_iterator(retired_.end()));
    retired_.erase(kept, retired_.end());
    if (ended.empty()) {
      retired_changed_.wait_for(lock, std::chrono::milliseconds(2));
      continue;
    }
    lock.unlock();
    ended.clear();
    lock.lock();
  }
}

void ModelTable::stop(Clock::duration drain) {
  const auto limit = Clock::now() + drain;
  const auto left = [&] { return std::max(Clock::duration::zero(), limit - Clock::now()); };
  std::lock_guard one(stop_mutex_);
  {
    std::lock_guard lock(change_mutex_);
    closed_ = true;
  }
  for (const auto& [name, model] : *map()) model->batcher->stop(left());
  {
    std::lock_guard lock(retired_mutex_);
    stopping_ = true;
    retired_changed_.notify_one();
  }
  if (thread_.joinable()) thread_.join();
  for (const auto& model : retired_) model->batcher->stop(left());
}

}  // namespace maas::serving
