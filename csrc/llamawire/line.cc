#include "line.h"

#include <algorithm>
#include <cassert>
#include <tuple>
#include <utility>

namespace llamawire {

namespace {

const std::string& caller_of(const Line::Waiting& waiting) {
    return waiting.request->options.user;
}

int64_t priority_at(const Line::Waiting& waiting, Line::Clock::time_point now) {
    return waiting.request->options.priority + (now - waiting.since) / Line::kAgeing;
}

}  // namespace

void Line::add(std::unique_ptr<JobRequest> request, Clock::time_point now) {
    ++caller(request->options.user).waiting;
    waiting_.push_back({std::move(request), now, false});
}

Line::Waiting Line::take(Clock::time_point now) {
    assert(!waiting_.empty());
    const auto first = std::min_element(
        waiting_.begin(), waiting_.end(),
        [this, now](const Waiting& a, const Waiting& b) { return goes_before(a, b, now); });
    Waiting taken = std::move(*first);
    waiting_.erase(first);
    Caller& owner = caller(caller_of(taken));
    --owner.waiting;
    ++owner.running;
    return taken;
}

std::deque<Line::Waiting>::iterator Line::place_of(uint64_t job_id) {
    return std::find_if(waiting_.begin(), waiting_.end(), [job_id](const Waiting& waiting) {
        return waiting.request->job_id == job_id;
    });
}

Line::Waiting* Line::find(uint64_t job_id) {
    const auto found = place_of(job_id);
    return found == waiting_.end() ? nullptr : &*found;
}

void Line::remove(uint64_t job_id) {
    const auto found = place_of(job_id);
    if (found == waiting_.end()) return;
    const std::string name = caller_of(*found);
    waiting_.erase(found);
    --caller(name).waiting;
    forget_if_absent(name);
}

void Line::served(const std::string& name, int64_t tokens) {
    caller(name).tokens += tokens;
}

void Line::ended(const std::string& name) {
    --caller(name).running;
    forget_if_absent(name);
}

Line::Caller& Line::caller(const std::string& name) {
    const auto found = callers_.find(name);
    if (found != callers_.end()) return found->second;
    const auto less = [](const auto& a, const auto& b) {
        return a.second.tokens < b.second.tokens;
    };
    const auto least = std::min_element(callers_.begin(), callers_.end(), less);
    Caller fresh;
    if (least != callers_.end()) fresh.tokens = least->second.tokens;
    return callers_.emplace(name, fresh).first->second;
}

void Line::forget_if_absent(const std::string& name) {
    const auto found = callers_.find(name);
    if (found->second.waiting == 0 && found->second.running == 0) callers_.erase(found);
}

// Equals stay in order of arrival: std::min_element gives the first.
bool Line::goes_before(const Waiting& a, const Waiting& b, Clock::time_point now) const {
    const Caller& caller_a = callers_.at(caller_of(a));
    const Caller& caller_b = callers_.at(caller_of(b));
    return std::make_tuple(-priority_at(a, now), caller_a.tokens, caller_a.running) <
           std::make_tuple(-priority_at(b, now), caller_b.tokens, caller_b.running);
}

}  // namespace llamawire
