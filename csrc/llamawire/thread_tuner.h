// How many threads the calls of one kind should have. Pure; knows no llama.cpp.
//
// What was best on a quiet machine is the worst on a busy one: threads of one computation wait for
// each other after every node of the graph, and one that has lost its CPU holds up all. So from
// time to time one call is made with the next smaller or greater number (a probe). One that is
// faster than the calls before and behind it, which were of the same size, is a win; a few wins in
// a row, and the number changes. Probes that lose become rare, so they cost next to nothing; one that
// wins is repeated at once, and a call that takes many times the usual makes the next probe come soon:
// with more threads than free CPUs a call may take a hundred times as long, and 48 of them minutes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace llamawire {

class ThreadTuner {
  public:
    static constexpr int32_t kProbeEveryMin = 16;  // calls
    static constexpr int32_t kProbeEveryMax = 512;
    static constexpr int32_t kWinsNeeded = 3;
    static constexpr int32_t kSoon = 8;  // times as often, behind a slow call

    // `counts` rise, `chosen` is one of them. With one count there is nothing to tune.
    ThreadTuner(std::vector<int32_t> counts, int32_t chosen);

    bool is_fixed() const { return counts_.size() == 1; }
    int32_t chosen() const { return counts_[chosen_]; }
    // The threads of the next call, which may be a probe if `may_probe`.
    int32_t next(bool may_probe);
    // That call was made and took so long. Calls of different `size` are not compared.
    void measured(int64_t size, double ns);

  private:
    // A probe takes three calls: the one before, itself, and the one behind.
    enum class Phase : uint8_t { kUsual, kProbes, kCompares };

    void judge(bool is_win);
    bool is_due() const;
    void usual(double ns, bool is_comparable);
    size_t neighbour() const;

    std::vector<int32_t> counts_;
    size_t chosen_ = 0;
    size_t probed_ = 0;
    Phase phase_ = Phase::kUsual;
    bool goes_up_ = false;
    int32_t wins_ = 0;
    int32_t calls_ = 0;  // since the last probe
    int32_t probe_every_ = kProbeEveryMin;
    int64_t size_ = 0;  // of the last call
    double usual_ns_ = 0.0;
    double best_ns_ = 0.0;  // of the usual calls of that size
    bool is_slow_ = false;  // the last one was, for that size
    double probe_ns_ = 0.0;
};

// The counts worth trying on so many cores: powers of two below, and all. At least {1}.
std::vector<int32_t> thread_counts(int32_t cores);

}  // namespace llamawire
