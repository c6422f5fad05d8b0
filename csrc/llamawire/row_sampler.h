// All that a step computes for one row from its logits: log-probabilities, the token, and the
// token's place in the row's grammar. Holds scratch only, so any row may be next.
//
// Threads: one at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <vector>

#include "error.h"
#include "logprobs.h"
#include "options.h"
#include "sampler.h"
#include "sequence.h"

namespace llamawire {

// One row's part of a step: what to draw from, and what came of it.
struct Draw {
    const Sequence* sequence = nullptr;
    float* logits = nullptr;  // the vocabulary's size of them, changed in place; null: a failure
    Token token = -1;
    std::vector<Logprob> logprobs;  // if asked for: the token's own, then the best ones
    std::optional<Error> failure;   // then there is no token
};

class RowSampler {
  public:
    // A grammar of which each token takes so long would stop every row.
    static constexpr std::chrono::milliseconds kGrammarTimeMax{1000};

    RowSampler(size_t vocab_size, std::vector<Token> newlines, std::vector<Token> suppressed);

    void sample(Draw* draw);
    // Of a draw, in logits looked at. Rough: it tells little work from much.
    size_t cost(const Draw& draw) const;

  private:
    Token draw_token(Draw* draw);

    const size_t vocab_size_;
    Sampler sampler_;
    LogprobReader logprob_reader_;
};

}  // namespace llamawire
