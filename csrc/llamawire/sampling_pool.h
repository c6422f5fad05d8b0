// The rows of a step, sampled side by side.
//
// Rows do not look at each other's logits, so each is a task of its own: the loop's thread and the
// pool's take one after the other until none is left. What a row draws does not depend on who drew
// it, nor on how many there are. Where a row is alone, or the work is so small that waking a thread
// would cost more than it saves, the loop's thread does it all and nobody is woken.
//
// Threads: `sample` is for one thread.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "row_sampler.h"

namespace llamawire {

class SamplingPool {
  public:
    static constexpr int32_t kThreadsMax = 8;  // the caller's is one of them
    // Logits that others must be able to take over before it pays to wake them: a quarter of a
    // million are some 30 microseconds.
    static constexpr size_t kWorthwhile = 262144;

    // `num_threads` is what the machine has; at most as many as rows are used. Other threads are
    // started when they first pay.
    SamplingPool(size_t vocab_size, const std::vector<Token>& newlines,
                 const std::vector<Token>& suppressed, int32_t num_threads,
                 size_t worthwhile = kWorthwhile);
    ~SamplingPool();
    SamplingPool(const SamplingPool&) = delete;
    SamplingPool& operator=(const SamplingPool&) = delete;

    // Fills in tokens or failures. Returns when all are done.
    void sample(std::vector<Draw>* draws);

  private:
    bool pays(const std::vector<Draw>& draws) const;
    void start_threads();
    void work(RowSampler* sampler);
    Draw* take();
    void sample_taken(RowSampler* sampler, Draw* draw);
    void wait_for_others();

    const size_t worthwhile_;
    std::vector<std::unique_ptr<RowSampler>> samplers_;  // one a thread, the caller's first

    std::mutex mutex_;
    std::condition_variable work_ready_;
    std::condition_variable work_done_;
    std::vector<Draw>* draws_ = nullptr;  // null: nothing to do
    size_t next_ = 0;
    std::atomic<size_t> open_{0};  // draws that are not done
    bool closed_ = false;
    std::vector<std::thread> threads_;
};

}  // namespace llamawire
