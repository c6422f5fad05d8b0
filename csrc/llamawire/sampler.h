// From a row of logits to one token.
//
// The order is Ollama's: penalties, top_k, typical_p, top_p, min_p, temperature, draw; each step
// means what llama.cpp's sampler of that name means, and a test holds the two together token for
// token. It is written again for speed and for the draw:
//
// * The penalties patch the few logits they concern; top_k is one pass over the raw floats with a
//   small heap. Nothing is allocated for a token, and no array of the vocabulary is built unless
//   top_k is off.
// * The draw takes its number from (seed, index of the generated token): see random.h. A sampler
//   holds scratch and no state of a row, so any row may use it, and a row is resumed by its tokens.
//
// With a constraint, all of this is about the tokens that it allows. Where these are few they are
// all there is to look at; else it is asked about the best first, and about the rest only while too
// few of them are allowed.
//
// Equal logits go by the lower id. A row whose best logit is not finite is an Error, not a token. What
// is not a number is never drawn, but with top_k it may keep a better token near it from being seen.
//
// Threads: one at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "constraint.h"
#include "options.h"

namespace llamawire {

class Sampler {
  public:
    // `newlines`: the tokens that penalize_newline exempts; `suppressed`: those never drawn.
    Sampler(size_t vocab_size, std::vector<Token> newlines, std::vector<Token> suppressed);

    // The next token. `logits` has vocab_size floats and is changed in place. `history` is all of
    // the row so far, prompt and generated, shifted out or not; `index` is the number of tokens
    // generated before this one; `constraint` may be null. Throws Error(kInternal): no logit is
    // finite, or none of those that the constraint allows.
    Token sample(float* logits, const SamplingOptions& options, const std::vector<Token>& history,
                 uint64_t index, Constraint* constraint = nullptr);

    // What the logit of `token` was before the last call changed it.
    float raw_logit(const float* logits, Token token) const;

    // What was left to draw from at the last call, in order; for tests.
    const std::vector<Candidate>& candidates() const { return candidates_; }

  private:
    void penalize(float* logits, const SamplingOptions& options, const std::vector<Token>& history);
    void keep_all(const float* logits);
    void keep_top_k(const float* logits, size_t k);
    void keep_allowed(const float* logits, size_t k, Constraint* constraint);
    void keep_allowed_of_many(const float* logits, size_t k, Constraint* constraint);
    void keep_listed(const float* logits);
    size_t keep_allowed_of_best(const float* logits, size_t count, Constraint* constraint);
    void keep_typical(float p);
    void keep_top_p(float p);
    void keep_min_p(float p);
    Token draw(float temperature, double number);
    void softmax();
    float max_logit() const;
    void sort_first(size_t count);

    const size_t vocab_size_;
    const std::vector<Token> newlines_;
    const std::vector<Token> suppressed_;

    std::vector<Candidate> candidates_;
    bool sorted_ = false;  // candidates_ falls by logit
    std::vector<Candidate> kept_;
    std::vector<float> scores_;
    std::vector<uint32_t> order_;
    std::vector<int32_t> counts_;  // of each token in the window; all zero between two calls
    std::vector<float> newline_logits_;
    std::vector<std::pair<Token, float>> changed_;  // logits as they were
    std::vector<Token> allowed_;
};

}  // namespace llamawire
