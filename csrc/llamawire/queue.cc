#include "queue.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "error.h"

namespace llamawire {

void Queue::submit(std::unique_ptr<JobRequest> request) {
    const std::scoped_lock lock(mutex_);
    if (closed_) throw Error(Code::kFailedPrecondition, "the loop is closed");
    if (waiting() >= jobs_max_) {
        throw Error(Code::kResourceExhausted,
                    "the queue is full: " + std::to_string(jobs_max_) + " jobs wait");
    }
    const uint64_t job_id = request->job_id;
    if (!known_.insert(job_id).second) {
        throw Error(Code::kAlreadyExists, "job " + std::to_string(job_id) + " is not over yet");
    }
    waiting_.fetch_add(1, std::memory_order_relaxed);
    commands_.push_back({Command::Kind::kSubmit, job_id, std::move(request)});
    has_commands_.store(true, std::memory_order_relaxed);
    commands_ready_.notify_one();
}

void Queue::send(Command::Kind kind, uint64_t job_id) {
    const std::scoped_lock lock(mutex_);
    if (closed_ || known_.count(job_id) == 0) return;
    commands_.push_back({kind, job_id, nullptr});
    has_commands_.store(true, std::memory_order_relaxed);
    if (kind == Command::Kind::kCancel) {
        const auto row = std::find(in_call_.begin(), in_call_.end(), job_id);
        if (row != in_call_.end()) in_call_.erase(row);
        if (in_call_.empty()) unwanted_.store(true, std::memory_order_relaxed);
    }
    commands_ready_.notify_one();
}

void Queue::wait(std::chrono::nanoseconds timeout, std::vector<Event>* events) {
    events->clear();
    std::unique_lock<std::mutex> lock(mutex_);
    reader_ = Reader::kWaitsForAny;
    events_ready_.wait_for(lock, timeout, [this] { return closed_ || !events_.empty(); });
    if (!events_.empty()) {
        reader_ = Reader::kWaitsForUrgent;
        events_ready_.wait_until(lock, handed_out_ + kGather,
                                 [this] { return closed_ || is_urgent_; });
        handed_out_ = std::chrono::steady_clock::now();
    }
    reader_ = Reader::kAway;
    is_urgent_ = false;
    events->swap(events_);
    if (events->size() >= kEventsMax) events_taken_.notify_one();
}

void Queue::close() {
    const std::scoped_lock lock(mutex_);
    closed_ = true;
    unwanted_.store(true, std::memory_order_relaxed);
    has_commands_.store(true, std::memory_order_relaxed);
    commands_ready_.notify_all();
    events_ready_.notify_all();
    events_taken_.notify_all();
}

bool Queue::take(std::chrono::nanoseconds timeout, std::vector<Command>* commands) {
    commands->clear();
    // A command that arrives just now is seen at the next step; the flag spares the lock till then.
    if (timeout.count() == 0 && !has_commands_.load(std::memory_order_relaxed)) return true;
    std::unique_lock<std::mutex> lock(mutex_);
    commands_ready_.wait_for(lock, timeout, [this] { return closed_ || !commands_.empty(); });
    has_commands_.store(closed_, std::memory_order_relaxed);
    commands->swap(commands_);
    return !closed_;
}

void Queue::publish(std::vector<Event>* events) {
    if (events->empty()) return;
    std::unique_lock<std::mutex> lock(mutex_);
    events_taken_.wait(lock, [this] { return closed_ || events_.size() < kEventsMax; });
    for (const Event& event : *events) {
        if (event.is_last()) known_.erase(event.job_id);
        is_urgent_ = is_urgent_ || event.is_urgent();
    }
    if (events_.empty()) {
        events_.swap(*events);
    } else {
        events_.insert(events_.end(), std::make_move_iterator(events->begin()),
                       std::make_move_iterator(events->end()));
        events->clear();
    }
    const bool wake =
        reader_ == Reader::kWaitsForAny || (reader_ == Reader::kWaitsForUrgent && is_urgent_);
    lock.unlock();
    if (wake) events_ready_.notify_one();
}

void Queue::begin_call(const std::vector<uint64_t>& job_ids) {
    const std::scoped_lock lock(mutex_);
    in_call_.clear();
    for (uint64_t job_id : job_ids) {
        if (!has_cancel(job_id)) in_call_.push_back(job_id);
    }
    unwanted_.store(closed_ || in_call_.empty(), std::memory_order_relaxed);
}

bool Queue::has_cancel(uint64_t job_id) const {
    return std::any_of(commands_.begin(), commands_.end(), [job_id](const Command& command) {
        return command.kind == Command::Kind::kCancel && command.job_id == job_id;
    });
}

}  // namespace llamawire
