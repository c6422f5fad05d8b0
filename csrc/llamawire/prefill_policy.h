// Which prompt is computed next, and how much of it fits into a given time. Pure; knows no
// llama.cpp.
//
// Of one priority shortest remaining first: a short question does not wait for a long document, and
// the sum of all waits is the least. So that a long prompt does not starve behind a stream of short ones, every
// fourth chunk goes to the prompt that has been there longest.
#pragma once

#include <cstdint>
#include <vector>

namespace llamawire {

// How long prefill takes. A token costs more the deeper it stands, since it attends to all before
// it: nanoseconds a token are a line over depth, fitted to the calls so far, of which newer ones
// count more.
class PrefillSpeed {
  public:
    bool is_measured() const { return weight_ > 0.0; }
    // The tokens at [begin, end) took so long, in one call.
    void measured(int32_t begin, int32_t end, double ns);
    // What they will take; 0 while nothing is measured.
    double ns(int32_t begin, int32_t end) const;
    // How many tokens from `begin` on fit into the time; 0 while nothing is measured.
    int32_t tokens_within(int32_t begin, double ns) const;

  private:
    struct Line {
        double base;   // ns a token at depth 0
        double slope;  // ns a token and token of depth; not negative
    };
    Line line() const;

    // Sums over the calls, weighted by tokens and faded; x: mean depth, y: ns a token.
    double weight_ = 0.0, x_ = 0.0, y_ = 0.0, xx_ = 0.0, xy_ = 0.0;
};

// A prompt that can go on.
struct PromptCandidate {
    int32_t stream;
    uint64_t age;      // order of admission
    double remaining;  // what somebody waits for, in any unit of work
    int32_t priority = 0;
};

class PromptOrder {
  public:
    static constexpr uint64_t kOldestEvery = 4;

    // Of the more urgent the shorter, of equals the older is first.
    static bool is_shorter(const PromptCandidate& a, const PromptCandidate& b);

    // Whose chunk is next; -1 if there are no candidates.
    int32_t next(const std::vector<PromptCandidate>& candidates);

  private:
    uint64_t chunks_ = 0;
};

}  // namespace llamawire
