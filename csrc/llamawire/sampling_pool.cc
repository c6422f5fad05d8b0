#include "sampling_pool.h"

#include <algorithm>

namespace llamawire {

namespace {

// Looks at the counter before the caller sleeps: the others are mostly done within microseconds.
constexpr int kLooks = 2000;

}  // namespace

SamplingPool::SamplingPool(size_t vocab_size, const std::vector<Token>& newlines,
                           const std::vector<Token>& suppressed, int32_t num_threads,
                           size_t worthwhile)
    : worthwhile_(worthwhile) {
    for (int32_t i = 0; i < std::clamp(num_threads, 1, kThreadsMax); ++i) {
        samplers_.push_back(std::make_unique<RowSampler>(vocab_size, newlines, suppressed));
    }
}

SamplingPool::~SamplingPool() {
    {
        const std::scoped_lock lock(mutex_);
        closed_ = true;
    }
    work_ready_.notify_all();
    for (std::thread& thread : threads_) thread.join();
}

void SamplingPool::sample(std::vector<Draw>* draws) {
    RowSampler* const own = samplers_.front().get();
    if (!pays(*draws)) {
        for (Draw& draw : *draws) own->sample(&draw);
        return;
    }
    start_threads();
    open_.store(draws->size(), std::memory_order_relaxed);
    {
        const std::scoped_lock lock(mutex_);
        draws_ = draws;
        next_ = 0;
    }
    for (size_t i = 1; i < std::min(draws->size(), samplers_.size()); ++i) work_ready_.notify_one();
    while (Draw* const draw = take()) sample_taken(own, draw);
    wait_for_others();
}

// What the caller does not do itself may be done by others.
bool SamplingPool::pays(const std::vector<Draw>& draws) const {
    if (samplers_.size() < 2 || draws.size() < 2) return false;
    size_t all = 0;
    size_t largest = 0;
    for (const Draw& draw : draws) {
        const size_t cost = samplers_.front()->cost(draw);
        all += cost;
        largest = std::max(largest, cost);
    }
    return all - largest >= worthwhile_;
}

void SamplingPool::start_threads() {
    while (threads_.size() + 1 < samplers_.size()) {
        RowSampler* const sampler = samplers_[threads_.size() + 1].get();
        threads_.emplace_back([this, sampler] { work(sampler); });
    }
}

void SamplingPool::work(RowSampler* sampler) {
    for (;;) {
        {
            std::unique_lock lock(mutex_);
            work_ready_.wait(lock, [this] { return closed_ || draws_ != nullptr; });
            if (closed_) return;
        }
        while (Draw* const draw = take()) sample_taken(sampler, draw);
    }
}

Draw* SamplingPool::take() {
    const std::scoped_lock lock(mutex_);
    if (draws_ == nullptr) return nullptr;
    Draw* const draw = &(*draws_)[next_++];
    if (next_ == draws_->size()) draws_ = nullptr;
    return draw;
}

void SamplingPool::sample_taken(RowSampler* sampler, Draw* draw) {
    sampler->sample(draw);
    if (open_.fetch_sub(1, std::memory_order_acq_rel) > 1) return;
    const std::scoped_lock lock(mutex_);
    work_done_.notify_one();
}

void SamplingPool::wait_for_others() {
    for (int i = 0; i < kLooks; ++i) {
        if (open_.load(std::memory_order_acquire) == 0) return;
    }
    std::unique_lock lock(mutex_);
    work_done_.wait(lock, [this] { return open_.load(std::memory_order_acquire) == 0; });
}

}  // namespace llamawire
