// Log-probabilities of a row of raw logits: what the model says, before penalties, temperature and
// samplers.
#pragma once

#include <cstddef>
#include <vector>

#include "options.h"

namespace llamawire {

// Of one token, by its natural logarithm.
struct Logprob {
    Token token;
    float logprob;
};

class LogprobReader {
  public:
    // Reads a row of `count` raw logits in one pass; what is not a number counts as impossible.
    // `top` is how many of the best tokens to remember.
    void read(const float* logits, size_t count, size_t top);

    // The best ones, best first; equal ones by the lower id.
    const std::vector<Logprob>& best() const { return best_; }
    // Of the token with this raw logit.
    float logprob(float logit) const;

  private:
    double log_sum_ = 0.0;
    std::vector<Logprob> best_;
};

}  // namespace llamawire
