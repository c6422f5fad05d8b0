// Our sampler against llama.cpp's chain: the same candidates, in the same order, hence the same
// token for the same random number.
#include <doctest/doctest.h>
#include <llama-cpp.h>

#include <cmath>
#include <random>
#include <vector>

#include "llamawire/random.h"
#include "llamawire/sampler.h"

namespace llamawire {

namespace {

llama_sampler_ptr chain_of(const SamplingOptions& options, int32_t vocab_size) {
    llama_sampler_ptr chain(llama_sampler_chain_init(llama_sampler_chain_default_params()));
    const auto add = [&](llama_sampler* sampler) { llama_sampler_chain_add(chain.get(), sampler); };
    add(llama_sampler_init_penalties(vocab_size, options.repeat_last_n, options.repeat_penalty,
                                     options.frequency_penalty, options.presence_penalty));
    add(llama_sampler_init_top_k(options.top_k));
    add(llama_sampler_init_typical(options.typical_p, 1));
    add(llama_sampler_init_top_p(options.top_p, 1));
    add(llama_sampler_init_min_p(options.min_p, 1));
    add(llama_sampler_init_temp(options.temperature));
    return chain;
}

// The last step of llama.cpp, with our number in place of its generator's.
Token drawn(const llama_token_data_array& candidates, double number) {
    float best = candidates.data[0].logit;
    for (size_t i = 1; i < candidates.size; ++i) best = std::max(best, candidates.data[i].logit);
    double sum = 0.0;
    for (size_t i = 0; i < candidates.size; ++i) sum += std::exp(candidates.data[i].logit - best);
    double running = 0.0;
    for (size_t i = 0; i < candidates.size; ++i) {
        running += std::exp(candidates.data[i].logit - best);
        if (running >= sum * number) return candidates.data[i].id;
    }
    return candidates.data[candidates.size - 1].id;
}

Token theirs(const std::vector<float>& logits, const SamplingOptions& options,
             const std::vector<Token>& history, uint64_t index) {
    std::vector<llama_token_data> data;
    for (size_t id = 0; id < logits.size(); ++id) {
        data.push_back({static_cast<Token>(id), logits[id], 0.0F});
    }
    llama_token_data_array array = {data.data(), data.size(), -1, false};
    const llama_sampler_ptr chain = chain_of(options, static_cast<int32_t>(logits.size()));
    for (Token token : history) llama_sampler_accept(chain.get(), token);
    llama_sampler_apply(chain.get(), &array);
    if (options.temperature <= 0.0F) {
        const llama_sampler_ptr greedy(llama_sampler_init_greedy());
        llama_sampler_apply(greedy.get(), &array);
        return array.data[array.selected].id;
    }
    return drawn(array, uniform(options.seed, index, 0));
}

class Dice {
  public:
    explicit Dice(uint32_t seed) : random_(seed) {}
    size_t below(size_t n) { return random_() % n; }
    float normal(float width) { return std::normal_distribution<float>(0.0F, width)(random_); }
    float pick(std::initializer_list<float> values) { return values.begin()[below(values.size())]; }

  private:
    std::mt19937 random_;
};

SamplingOptions random_options(Dice* dice) {
    SamplingOptions options;
    options.seed = dice->below(1000000);
    options.temperature = dice->pick({0.0F, 0.1F, 0.8F, 1.0F, 3.0F});
    options.top_k = static_cast<int32_t>(dice->pick({0, 1, 5, 40, 600, 100000}));
    options.top_p = dice->pick({0.0F, 0.3F, 0.9F, 0.999F, 1.0F});
    options.min_p = dice->pick({0.0F, 0.01F, 0.3F, 1.0F});
    // Typical sampling may remove the likeliest token; greedy is arg-max all the same.
    options.typical_p = options.temperature <= 0.0F ? 1.0F : dice->pick({1.0F, 0.3F, 0.95F});
    options.repeat_last_n = static_cast<int32_t>(dice->pick({0, 1, 64, 1000}));
    options.repeat_penalty = dice->pick({1.0F, 1.1F, 2.0F});
    options.presence_penalty = dice->pick({0.0F, 0.5F, -0.5F});
    options.frequency_penalty = dice->pick({0.0F, 0.2F});
    return options;
}

}  // namespace

TEST_CASE("tokens are those of llama.cpp's chain on random logits") {
    Dice dice(2026);
    for (size_t vocab_size : {5, 354, 3000}) {
        Sampler sampler(vocab_size, {}, {});
        for (int round = 0; round < 1500; ++round) {
            const SamplingOptions options = random_options(&dice);
            const float width = dice.pick({0.5F, 2.0F, 8.0F});
            std::vector<float> logits(vocab_size);
            for (float& logit : logits) logit = dice.normal(width);
            std::vector<Token> history(dice.below(200));
            for (Token& token : history) token = static_cast<Token>(dice.below(vocab_size));
            const Token expected = theirs(logits, options, history, 7);
            CAPTURE(vocab_size);
            CAPTURE(round);
            REQUIRE(sampler.sample(logits.data(), options, history, 7) == expected);
        }
    }
}

TEST_CASE("a vocabulary of a real model's size gives llama.cpp's tokens too") {
    Dice dice(7);
    constexpr size_t kVocab = 128256;
    Sampler sampler(kVocab, {}, {});
    for (int round = 0; round < 12; ++round) {
        const SamplingOptions options = random_options(&dice);
        std::vector<float> logits(kVocab);
        for (float& logit : logits) logit = dice.normal(2.0F);
        const Token expected = theirs(logits, options, {1, 2, 3}, 0);
        REQUIRE(sampler.sample(logits.data(), options, {1, 2, 3}, 0) == expected);
    }
}

}  // namespace llamawire
