// The jobs that wait for a stream, and whose turn it is.
//
//   * A job of a higher priority goes first. Each kAgeing of waiting counts as one more, so nothing
//     waits for ever: a job of the lowest priority goes before a new one of the highest after
//     kPriorityMax - kPriorityMin times kAgeing.
//   * Of one priority, the caller (JobOptions::user) goes first that has had the fewest tokens
//     (computed for it or generated, since it has had anything here), of equals the one with fewer
//     jobs running. A caller that comes begins where the least served of those present stands:
//     nobody saves up.
//   * Of one caller, the job that came first. Jobs that name no caller are one caller.
//
// Threads: the loop's only. Pure; the clock is handed in.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <string>

#include "options.h"

namespace llamawire {

class Line {
  public:
    using Clock = std::chrono::steady_clock;

    static constexpr std::chrono::seconds kAgeing{2};

    struct Waiting {
        std::unique_ptr<JobRequest> request;
        Clock::time_point since;
        bool paused = false;
    };

    bool empty() const { return waiting_.empty(); }
    uint64_t front_id() const { return waiting_.front().request->job_id; }
    void add(std::unique_ptr<JobRequest> request, Clock::time_point now);
    // Whose turn it is. The job counts as running until `ended`.
    Waiting take(Clock::time_point now);
    // A job that waits, or null; valid until the line changes.
    Waiting* find(uint64_t job_id);
    void remove(uint64_t job_id);

    // A running job of this caller was given so many tokens, or has ended.
    void served(const std::string& caller, int64_t tokens);
    void ended(const std::string& caller);

  private:
    struct Caller {
        int64_t tokens = 0;
        size_t waiting = 0;
        size_t running = 0;
    };

    std::deque<Waiting>::iterator place_of(uint64_t job_id);
    Caller& caller(const std::string& name);
    void forget_if_absent(const std::string& name);
    bool goes_before(const Waiting& a, const Waiting& b, Clock::time_point now) const;

    std::deque<Waiting> waiting_;            // in order of arrival
    std::map<std::string, Caller> callers_;  // who waits or runs
};

}  // namespace llamawire
