// SPDX-License-Identifier: MIT
// An entropy source that is opened and asked in one thread of its own, whoever calls. OpenMP keeps a pool of threads for each
// thread that ever computes, and puts them all to sleep between tasks as soon as they are more than the CPUs; oneTBB would let each
// of its own threads compute.
#pragma once

#include <condition_variable>
#include <functional>
#include <future>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>

#include "blt/patch/entropy_source.h"

namespace blt::patch {

class OneThreadSource final : public EntropySource {
 public:
  // Errors: open's.
  explicit OneThreadSource(const std::function<std::unique_ptr<EntropySource>()>& open) {
    thread_.run([&] { source_ = open(); });
  }
  std::vector<std::vector<float>> entropies(std::span<const std::vector<TokenId>> documents) override {
    std::vector<std::vector<float>> out;
    thread_.run([&] { out = source_->entropies(documents); });
    return out;
  }
  std::string digest() const override { return source_->digest(); }
  std::uint64_t batch_bytes() const override { return source_->batch_bytes(); }

 private:
  class OneThread {
   public:
    OneThread() : thread_([this] { loop(); }) {}
    ~OneThread() {
      give({});
      thread_.join();
    }
    void run(const std::function<void()>& work) {
      std::packaged_task<void()> task(work);
      auto done = task.get_future();
      give(std::move(task));
      done.get();
    }

   private:
    // One at a time: run() waits for it. A task that is none ends the thread.
    void give(std::packaged_task<void()> task) {
      const std::lock_guard lock(mutex_);
      next_ = std::move(task);
      changed_.notify_one();
    }
    void loop() {
      for (;;) {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [&] { return next_.has_value(); });
        auto task = std::move(*next_);
        next_.reset();
        lock.unlock();
        if (!task.valid()) return;
        task();
      }
    }

    std::mutex mutex_;
    std::condition_variable changed_;
    std::optional<std::packaged_task<void()>> next_;
    std::thread thread_;
  };

  OneThread thread_;
  std::unique_ptr<EntropySource> source_;
};

}  // namespace blt::patch
