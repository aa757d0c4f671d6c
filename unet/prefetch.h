// Background production of numbered items, handed out in order.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

namespace unet {

/// Threads that compute make(first), make(first+1), ... ahead of next(). An item depends on its number alone, so what
/// next() returns does not depend on the number of threads. An exception of make() comes out of the next() it belongs
/// to.
template <class Item>
class Prefetch {
 public:
  /// `threads` >= 1 workers; at most `capacity` >= 1 items are made ahead.
  Prefetch(std::function<Item(int64_t)> make, int64_t first, int threads, int64_t capacity)
      : make_(std::move(make)), next_taken_(first), next_started_(first), capacity_(capacity) {
    try {
      for (int i = 0; i < threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {  // the system has no more threads
      stop();
      throw;
    }
  }
  ~Prefetch() { stop(); }
  Prefetch(const Prefetch&) = delete;
  Prefetch& operator=(const Prefetch&) = delete;

  /// Waits for the next item in order.
  Item next() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return ready_.contains(next_taken_); });
    auto node = ready_.extract(next_taken_++);
    changed_.notify_all();
    lock.unlock();
    if (node.mapped().error) std::rethrow_exception(node.mapped().error);
    return std::move(node.mapped().item);
  }

 private:
  struct Result {
    Item item{};
    std::exception_ptr error;
  };

  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stopping_ = true;
    }
    changed_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }

  void work() {
    std::unique_lock lock(mutex_);
    while (true) {
      changed_.wait(lock, [this] { return stopping_ || next_started_ < next_taken_ + capacity_; });
      if (stopping_) return;
      const int64_t index = next_started_++;
      lock.unlock();
      Result result;
      try {
        result.item = make_(index);
      } catch (...) {
        result.error = std::current_exception();
      }
      lock.lock();
      ready_.emplace(index, std::move(result));
      changed_.notify_all();
    }
  }

  std::function<Item(int64_t)> make_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<int64_t, Result> ready_;
  int64_t next_taken_, next_started_, capacity_;
  bool stopping_ = false;
  std::vector<std::thread> workers_;
};

}  // namespace unet
