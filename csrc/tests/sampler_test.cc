#include "llamawire/sampler.h"

#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <map>
#include <random>

#include "llamawire/error.h"

namespace llamawire {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

SamplingOptions greedy() {
    SamplingOptions options;
    options.temperature = 0;
    return options;
}

Token sample(std::vector<float> logits, const SamplingOptions& options,
             const std::vector<Token>& history = {}, std::vector<Token> newlines = {},
             std::vector<Token> suppressed = {}) {
    Sampler sampler(logits.size(), std::move(newlines), std::move(suppressed));
    return sampler.sample(logits.data(), options, history, 0);
}

}  // namespace

TEST_CASE("greedy takes the greatest, and the first of equals") {
    for (size_t size : {1, 5, 16, 17, 100}) {
        std::vector<float> logits(size, -3.0F);
        for (size_t best = 0; best < size; ++best) {
            logits[best] = 1.0F;
            CHECK(sample(logits, greedy()) == static_cast<Token>(best));
            logits[best] = -3.0F;
        }
        CHECK(sample(logits, greedy()) == 0);
    }
}

TEST_CASE("top_k 1 is greedy") {
    SamplingOptions options;
    options.top_k = 1;
    options.temperature = 5;
    CHECK(sample({1, 2, 9, 3}, options) == 2);
}

TEST_CASE("the least temperature is greedy, and no failure") {
    SamplingOptions options;
    options.temperature = std::numeric_limits<float>::denorm_min();
    for (int32_t top_k : {0, 40}) {
        options.top_k = top_k;
        CHECK(sample({1, 2, 9, 3}, options) == 2);
        CHECK(sample({-1, -2, -9, -3}, options) == 0);
    }
}

TEST_CASE("a row without a finite logit is a failure, not a token") {
    const float nan = std::nanf("");
    for (int32_t top_k : {0, 40}) {
        for (float temperature : {0.0F, 0.8F}) {
            SamplingOptions options;
            options.top_k = top_k;
            options.temperature = temperature;
            CHECK_THROWS_AS(sample(std::vector<float>(50, nan), options), Error);
            CHECK_THROWS_AS(sample(std::vector<float>(50, -kInfinity), options), Error);
            CHECK_THROWS_AS(sample(std::vector<float>(50, kInfinity), options), Error);
        }
    }
}

TEST_CASE("penalties follow Ollama's meaning") {
    SamplingOptions options = greedy();
    options.repeat_penalty = 2.0F;
    CHECK(sample({4, 3}, options, {0}) == 1);    // 4 / 2 < 3
    CHECK(sample({-2, -3}, options, {0}) == 1);  // -2 * 2 < -3
    options.repeat_penalty = 1.0F;
    options.presence_penalty = 0.6F;
    CHECK(sample({4, 3.5F}, options, {0, 0, 0}) == 1);
    CHECK(sample({4, 3}, options, {0, 0, 0}) == 0);  // once, however often
    options.presence_penalty = 0.0F;
    options.frequency_penalty = 0.6F;
    CHECK(sample({4, 3}, options, {0}) == 0);
    CHECK(sample({4, 3}, options, {0, 0}) == 1);
}

TEST_CASE("penalties look at the last repeat_last_n tokens") {
    SamplingOptions options = greedy();
    options.presence_penalty = 10.0F;
    options.repeat_last_n = 2;
    CHECK(sample({4, 3}, options, {0, 1, 1}) == 0);
    CHECK(sample({4, 3}, options, {1, 0, 0}) == 1);
    options.repeat_last_n = 0;
    CHECK(sample({4, 3}, options, {0, 0}) == 0);
}

TEST_CASE("a newline can be exempt from penalties") {
    SamplingOptions options = greedy();
    options.presence_penalty = 10.0F;
    CHECK(sample({4, 3}, options, {0}, {0}) == 1);
    options.penalize_newline = false;
    CHECK(sample({4, 3}, options, {0}, {0}) == 0);
    CHECK(sample({4, 3}, options, {0}, {1}) == 1);
}

TEST_CASE("a suppressed token is never drawn") {
    CHECK(sample({9, 3}, greedy(), {}, {}, {0}) == 1);
}

TEST_CASE("top_k, top_p and min_p leave the likeliest") {
    const std::vector<float> logits = {std::log(0.5F), std::log(0.05F), std::log(0.3F),
                                       std::log(0.15F)};
    const auto left = [&](auto change) {
        SamplingOptions options;
        options.top_k = 0;
        options.top_p = 1.0F;
        change(options);
        std::vector<float> copy = logits;
        Sampler sampler(4, {}, {});
        sampler.sample(copy.data(), options, {}, 0);
        return sampler.candidates().size();
    };
    CHECK(left([](auto&) {}) == 4);
    CHECK(left([](auto& o) { o.top_k = 3; }) == 3);
    CHECK(left([](auto& o) { o.top_k = 100; }) == 4);
    CHECK(left([](auto& o) { o.top_p = 0.75F; }) == 2);
    CHECK(left([](auto& o) { o.top_p = 0.0F; }) == 1);
    CHECK(left([](auto& o) { o.min_p = 0.25F; }) == 3);
    CHECK(left([](auto& o) { o.min_p = 2.0F; }) == 1);
    CHECK(left([](auto& o) { o.typical_p = 0.4F; }) >= 1);
}

TEST_CASE("tokens are drawn as often as their probability says") {
    SamplingOptions options;
    options.temperature = 1.0F;
    options.top_p = 1.0F;
    const std::vector<float> logits = {std::log(0.6F), std::log(0.3F), std::log(0.1F)};
    std::map<Token, int> counts;
    Sampler sampler(3, {}, {});
    for (uint64_t index = 0; index < 20000; ++index) {
        std::vector<float> copy = logits;
        ++counts[sampler.sample(copy.data(), options, {}, index)];
    }
    CHECK(counts[0] == doctest::Approx(12000).epsilon(0.03));
    CHECK(counts[1] == doctest::Approx(6000).epsilon(0.05));
    CHECK(counts[2] == doctest::Approx(2000).epsilon(0.08));
}

TEST_CASE("the token is a function of seed and index") {
    std::mt19937 random(3);
    std::normal_distribution<float> normal(0.0F, 3.0F);
    std::vector<float> logits(1000);
    for (float& logit : logits) logit = normal(random);
    const auto draws = [&](uint64_t seed) {
        SamplingOptions options;
        options.seed = seed;
        Sampler sampler(logits.size(), {}, {});
        std::vector<Token> tokens;
        for (uint64_t index = 0; index < 50; ++index) {
            std::vector<float> copy = logits;
            tokens.push_back(sampler.sample(copy.data(), options, {}, index));
        }
        return tokens;
    };
    CHECK(draws(1) == draws(1));
    CHECK(draws(1) != draws(2));
}

}  // namespace llamawire
