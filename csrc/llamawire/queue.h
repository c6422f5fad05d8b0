// Between the callers and the loop's thread: commands one way, batches of events the other.
//
// Callers (any thread) submit, cancel, pause, resume, wait and close. The loop's thread takes
// commands, publishes events, and announces each call of llama_decode, so that a cancel can abort
// one whose rows are all unwanted. One mutex; the loop takes it a few times a step and never holds
// it while it computes.
//
// Invariants:
//   * A job is known from `submit` until its last event is published; then its id is free again.
//   * At most queue_max jobs wait for a stream. At most about kEventsMax events wait for a reader:
//     then the loop stands still until one comes.
//   * Events are handed out at once, unless the last were less than kGather ago: then what comes
//     until that is over travels together, since each hand-over wakes two processes. What is urgent
//     (a job's first token, its end) is not held up by that.
//   * After `close` nothing is accepted, `wait` hands out what is left and then returns at once.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_set>
#include <vector>

#include "logprobs.h"
#include "options.h"

namespace llamawire {

struct Event {
    enum class Kind : uint8_t { kStarted, kTokens, kFinished, kFailed };

    uint64_t job_id = 0;
    Kind kind = Kind::kTokens;
    Token token = -1;       // kTokens; -1: text alone
    bool is_first = false;  // kTokens: the job's first, which somebody waits for
    std::string text;       // kTokens
    // kTokens, if asked for: the token's own, then the best ones, best first.
    std::vector<Logprob> logprobs;
    const char* reason = "";   // kFinished: stop, length, context or cancelled
    const char* code = "";     // kFailed
    std::string message;       // kFailed
    int32_t cached = 0;        // from kStarted on
    int64_t prompt_count = 0;  // these five: kFinished and kFailed
    int64_t generated_count = 0;
    int64_t shift_count = 0;
    int64_t prompt_ns = 0;
    int64_t generate_ns = 0;

    bool is_last() const { return kind == Kind::kFinished || kind == Kind::kFailed; }
    bool is_urgent() const { return kind != Kind::kTokens || is_first; }
};

struct Command {
    enum class Kind : uint8_t { kSubmit, kCancel, kPause, kResume };

    Kind kind = Kind::kSubmit;
    uint64_t job_id = 0;
    std::unique_ptr<JobRequest> request;  // kSubmit
};

class Queue {
  public:
    static constexpr size_t kEventsMax = 65536;
    static constexpr std::chrono::milliseconds kGather{3};

    explicit Queue(size_t jobs_max) : jobs_max_(jobs_max) {}

    // ---- callers --------------------------------------------------------------------------------

    // Throws Error: kFailedPrecondition (closed), kAlreadyExists (id), kResourceExhausted (full).
    void submit(std::unique_ptr<JobRequest> request);
    // kCancel, kPause, kResume. An id that is not known is ignored.
    void send(Command::Kind kind, uint64_t job_id);
    // Swaps the events since the last call into `events`, which it empties first. Returns with none
    // after the time-out and once closed, and up to kGather behind the time-out with some.
    void wait(std::chrono::nanoseconds timeout, std::vector<Event>* events);
    void close();
    size_t waiting() const { return waiting_.load(std::memory_order_relaxed); }

    // ---- the loop's thread ----------------------------------------------------------------------

    // The commands since the last call, in order; waits up to `timeout` for the first. False:
    // closed.
    bool take(std::chrono::nanoseconds timeout, std::vector<Command>* commands);
    // A submitted job no longer waits for a stream.
    void leave_waiting() { waiting_.fetch_sub(1, std::memory_order_relaxed); }
    // Hands over `events` and empties it. One wake-up for all of them.
    void publish(std::vector<Event>* events);
    // These rows are about to be computed.
    void begin_call(const std::vector<uint64_t>& job_ids);
    // All rows of the current call are cancelled, or the queue is closed. For any thread.
    bool is_call_unwanted() const { return unwanted_.load(std::memory_order_relaxed); }

  private:
    enum class Reader : uint8_t { kAway, kWaitsForAny, kWaitsForUrgent };

    bool has_cancel(uint64_t job_id) const;

    const size_t jobs_max_;
    std::mutex mutex_;
    std::condition_variable commands_ready_;
    std::condition_variable events_ready_;
    std::condition_variable events_taken_;
    bool closed_ = false;
    Reader reader_ = Reader::kAway;
    bool is_urgent_ = false;  // one of events_
    std::chrono::steady_clock::time_point handed_out_;
    std::vector<Command> commands_;
    std::vector<Event> events_;
    std::unordered_set<uint64_t> known_;
    std::vector<uint64_t> in_call_;  // job ids of the current call that nobody cancelled
    std::atomic<size_t> waiting_{0};
    std::atomic<bool> has_commands_{false};
    std::atomic<bool> unwanted_{false};
};

}  // namespace llamawire
