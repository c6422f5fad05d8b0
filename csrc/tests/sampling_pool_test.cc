#include "llamawire/sampling_pool.h"

#include <doctest/doctest.h>

#include <cmath>
#include <memory>
#include <random>
#include <string>

namespace llamawire {

namespace {

constexpr size_t kVocabulary = 4000;

class NoPieces : public Pieces {
  public:
    std::string_view piece(Token) const override { return ""; }
    bool is_end(Token) const override { return false; }
};

// Rows that differ in all that may concern how they are drawn.
std::vector<Sequence> make_rows(const Pieces& pieces, size_t count) {
    std::vector<Sequence> rows;
    for (size_t i = 0; i < count; ++i) {
        JobRequest request;
        request.job_id = i;
        request.prompt = {1, static_cast<Token>(i)};
        request.options.num_ctx = 1000;
        request.options.sampling.seed = i;
        request.options.sampling.top_k = i % 3 == 0 ? 0 : static_cast<int32_t>(10 * i);
        request.options.sampling.temperature = i % 4 == 1 ? 0.0F : 1.0F;
        request.options.sampling.repeat_penalty = i % 2 == 0 ? 1.0F : 1.3F;
        request.options.top_logprobs = i % 5 == 2 ? 3 : -1;
        rows.emplace_back(std::move(request), pieces, false, false);
    }
    return rows;
}

struct Step {
    std::vector<std::vector<float>> logits;
    std::vector<Draw> draws;
};

// Row `broken` has no finite logit, and the one behind it no logits at all.
Step make_step(const std::vector<Sequence>& rows, uint32_t seed, size_t broken) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 3.0F);
    Step step;
    for (size_t i = 0; i < rows.size(); ++i) {
        step.logits.emplace_back(kVocabulary);
        for (float& logit : step.logits[i]) logit = i == broken ? NAN : normal(random);
    }
    step.draws.resize(rows.size());
    for (size_t i = 0; i < rows.size(); ++i) {
        step.draws[i].sequence = &rows[i];
        step.draws[i].logits = i == broken + 1 ? nullptr : step.logits[i].data();
    }
    return step;
}

}  // namespace

TEST_CASE("rows draw the same side by side as one after the other, and fail for themselves") {
    const NoPieces pieces;
    SamplingPool alone(kVocabulary, {5}, {7}, 1);
    SamplingPool beside(kVocabulary, {5}, {7}, 4, 0);
    for (size_t count : {1, 2, 3, 9, 20}) {
        const std::vector<Sequence> rows = make_rows(pieces, count);
        for (uint32_t seed = 0; seed < 20; ++seed) {
            const size_t broken = seed % 7;
            Step one = make_step(rows, seed, broken);
            Step other = make_step(rows, seed, broken);
            alone.sample(&one.draws);
            beside.sample(&other.draws);
            for (size_t i = 0; i < count; ++i) {
                const Draw& a = one.draws[i];
                const Draw& b = other.draws[i];
                REQUIRE(a.failure.has_value() == (i == broken || i == broken + 1));
                REQUIRE(b.failure.has_value() == a.failure.has_value());
                REQUIRE(a.token == b.token);
                REQUIRE(a.logprobs.size() == b.logprobs.size());
                if (a.failure.has_value()) {
                    REQUIRE(std::string(a.failure->what()) == b.failure->what());
                }
            }
        }
    }
}

TEST_CASE("a pool that was never needed ends as one that was") {
    SamplingPool unused(kVocabulary, {}, {}, 4);
    std::vector<Draw> none;
    unused.sample(&none);
    CHECK(none.empty());
}

}  // namespace llamawire
