#include "row_sampler.h"

#include <exception>
#include <string>
#include <utility>

#include "constraint.h"

namespace llamawire {

namespace {

using Clock = std::chrono::steady_clock;

// Of one logit, in the time that the search for the greatest takes for it.
constexpr size_t kCostOfAll = 16;  // with top_k off: each is a candidate
constexpr size_t kCostOfLogprob = 4;

}  // namespace

RowSampler::RowSampler(size_t vocab_size, std::vector<Token> newlines,
                       std::vector<Token> suppressed)
    : vocab_size_(vocab_size), sampler_(vocab_size, std::move(newlines), std::move(suppressed)) {}

size_t RowSampler::cost(const Draw& draw) const {
    const JobOptions& options = draw.sequence->options();
    const bool takes_all = options.sampling.top_k <= 0 && options.sampling.temperature > 0.0F;
    const size_t logprobs = options.top_logprobs >= 0 ? kCostOfLogprob : 0;
    return vocab_size_ * ((takes_all ? kCostOfAll : 1) + logprobs);
}

void RowSampler::sample(Draw* draw) {
    try {
        draw->token = draw_token(draw);
    } catch (const Error& error) {
        draw->failure = error;
    } catch (const std::exception& error) {
        draw->failure = Error(Code::kInternal, error.what());
    }
}

Token RowSampler::draw_token(Draw* draw) {
    if (draw->logits == nullptr) throw Error(Code::kInternal, "llama.cpp gave no logits");
    const Sequence& sequence = *draw->sequence;
    const JobOptions& options = sequence.options();
    const bool wants_logprobs = options.top_logprobs >= 0;
    if (wants_logprobs) {
        logprob_reader_.read(draw->logits, vocab_size_, static_cast<size_t>(options.top_logprobs));
    }
    Constraint* const constraint = sequence.constraint();
    const auto begin = Clock::now();
    const Token forced = sequence.forced_token();
    const Token token =
        forced >= 0
            ? forced
            : sampler_.sample(draw->logits, options.sampling, sequence.history(),
                              static_cast<uint64_t>(sequence.generated_count()), constraint);
    if (constraint != nullptr) {
        constraint->accept(token);
        if (Clock::now() - begin > kGrammarTimeMax) {
            throw Error(Code::kResourceExhausted,
                        "the format is too ambiguous: one token took more than " +
                            std::to_string(kGrammarTimeMax.count()) + " ms");
        }
    }
    if (wants_logprobs) {
        // What the sampler remembers to have changed is another row's where it was not asked.
        const float logit =
            forced >= 0 ? draw->logits[token] : sampler_.raw_logit(draw->logits, token);
        draw->logprobs.push_back({token, logprob_reader_.logprob(logit)});
        const std::vector<Logprob>& best = logprob_reader_.best();
        draw->logprobs.insert(draw->logprobs.end(), best.begin(), best.end());
    }
    return token;
}

}  // namespace llamawire
