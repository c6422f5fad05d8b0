#include "thread_tuner.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace llamawire {

namespace {

// A probe must be this much faster, so that equals do not take turns.
constexpr double kWin = 0.95;
// A usual call that takes so many times the best one was held up.
constexpr double kSlow = 3.0;

}  // namespace

ThreadTuner::ThreadTuner(std::vector<int32_t> counts, int32_t chosen) : counts_(std::move(counts)) {
    const auto place = std::find(counts_.begin(), counts_.end(), chosen);
    assert(place != counts_.end());
    chosen_ = static_cast<size_t>(place - counts_.begin());
}

int32_t ThreadTuner::next(bool may_probe) {
    ++calls_;
    if (!is_fixed() && phase_ == Phase::kUsual && may_probe && is_due()) {
        phase_ = Phase::kProbes;
        probed_ = neighbour();
        calls_ = 0;
    }
    return phase_ == Phase::kProbes ? counts_[probed_] : counts_[chosen_];
}

bool ThreadTuner::is_due() const {
    if (size_ == 0) return false;
    return wins_ > 0 || calls_ >= (is_slow_ ? probe_every_ / kSoon : probe_every_);
}

void ThreadTuner::measured(int64_t size, double ns) {
    const bool is_comparable = size == size_;
    size_ = size;
    if (phase_ == Phase::kProbes && is_comparable) {
        probe_ns_ = ns;
        phase_ = Phase::kCompares;
        return;
    }
    if (phase_ == Phase::kCompares && is_comparable)
        judge(probe_ns_ < kWin * std::min(ns, usual_ns_));
    // A probe of another size tells nothing, and is no usual call either.
    if (phase_ == Phase::kProbes) size_ = 0;
    phase_ = Phase::kUsual;
    usual(ns, is_comparable);
}

void ThreadTuner::usual(double ns, bool is_comparable) {
    usual_ns_ = ns;
    best_ns_ = is_comparable && best_ns_ > 0.0 ? std::min(best_ns_, ns) : ns;
    is_slow_ = ns > kSlow * best_ns_;
}

void ThreadTuner::judge(bool is_win) {
    if (!is_win) {
        wins_ = 0;
        goes_up_ = !goes_up_;
        probe_every_ = std::min(probe_every_ * 2, kProbeEveryMax);
        return;
    }
    probe_every_ = kProbeEveryMin;
    if (++wins_ < kWinsNeeded) return;
    wins_ = 0;
    chosen_ = probed_;
    size_ = 0;
    best_ns_ = 0.0;
}

// The next greater count and the next smaller one in turn; at an end, the only one.
size_t ThreadTuner::neighbour() const {
    const bool is_first = chosen_ == 0;
    const bool is_last = chosen_ + 1 == counts_.size();
    return (goes_up_ && !is_last) || is_first ? chosen_ + 1 : chosen_ - 1;
}

std::vector<int32_t> thread_counts(int32_t cores) {
    std::vector<int32_t> counts;
    for (int32_t count = 1; count < cores; count *= 2) counts.push_back(count);
    counts.push_back(std::max(cores, 1));
    return counts;
}

}  // namespace llamawire
