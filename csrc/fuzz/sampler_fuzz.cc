// Rows of any logits, options of any values that are taken, histories and constraints: one of the
// tokens that may be drawn comes out, or a sentence. Greedy and top_k are held to their definition.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "llamawire/constraint.h"
#include "llamawire/error.h"
#include "llamawire/logprobs.h"
#include "llamawire/sampler.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

// Any set of tokens; how few it may list is anybody's choice.
class Set : public Constraint {
  public:
    Set(std::vector<bool> is_allowed, bool is_few)
        : is_allowed_(std::move(is_allowed)), is_few_(is_few) {}

    bool allows(Token token) const { return is_allowed_[static_cast<size_t>(token)]; }
    void filter(Candidate* candidates, size_t count) override {
        for (size_t i = 0; i < count; ++i) {
            if (!allows(candidates[i].id)) candidates[i].logit = -kInfinity;
        }
    }
    void list_allowed(std::vector<Token>* tokens) override {
        for (size_t id = 0; id < is_allowed_.size(); ++id) {
            if (is_allowed_[id]) tokens->push_back(static_cast<Token>(id));
        }
    }
    bool list_few(std::vector<Token>* tokens) override {
        if (is_few_) list_allowed(tokens);
        return is_few_;
    }
    void accept(Token token) override { REQUIRE(allows(token)); }

  private:
    std::vector<bool> is_allowed_;
    bool is_few_;
};

float take_logit(FuzzedDataProvider* data) {
    constexpr float kEdges[] = {kInfinity, -kInfinity, NAN, 3e38F, -3e38F, 1e-45F, -0.0F, 80.0F};
    if (data->ConsumeIntegralInRange<int>(0, 15) == 0) return data->PickValueInArray(kEdges);
    return static_cast<float>(data->ConsumeIntegralInRange<int>(-40, 40)) / 4.0F;
}

float take_option(FuzzedDataProvider* data, float off) {
    constexpr float kValues[] = {0.0F,  0.5F,   0.9F,  1.0F,   1.5F,
                                 -1.0F, 1e-45F, 3e38F, 1e-30F, -2e38F};
    return data->ConsumeBool() ? off : data->PickValueInArray(kValues);
}

SamplingOptions take_options(FuzzedDataProvider* data) {
    constexpr int32_t kCounts[] = {0, 1, 2, 5, 40, 511, 513, 2000, -1, INT32_MAX};
    JobOptions job;
    SamplingOptions& options = job.sampling;
    options.seed = data->ConsumeIntegral<uint64_t>();
    options.top_k = data->PickValueInArray(kCounts);
    options.temperature = take_option(data, 0.8F);
    options.top_p = take_option(data, 1.0F);
    options.min_p = take_option(data, 0.0F);
    options.typical_p = take_option(data, 1.0F);
    options.repeat_last_n = data->PickValueInArray(kCounts);
    options.repeat_penalty = take_option(data, 1.0F);
    options.presence_penalty = take_option(data, 0.0F);
    options.frequency_penalty = take_option(data, 0.0F);
    options.penalize_newline = data->ConsumeBool();
    if (options.repeat_penalty <= 0.0F) options.repeat_penalty = 1.1F;
    job.check_and_resolve(LoopOptions());
    return options;
}

std::vector<Token> take_tokens(FuzzedDataProvider* data, size_t most, size_t vocab_size) {
    std::vector<Token> tokens(data->ConsumeIntegralInRange<size_t>(0, most));
    for (Token& token : tokens) {
        token = data->ConsumeIntegralInRange<Token>(0, static_cast<Token>(vocab_size) - 1);
    }
    return tokens;
}

bool is_better(const Candidate& a, const Candidate& b) {
    return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
}

// The allowed tokens with their logits as they stand, best first. Without a constraint those that
// are not finite are among them, as the lowest.
std::vector<Candidate> ranked(const std::vector<float>& logits, const Set* set) {
    std::vector<Candidate> all;
    for (size_t id = 0; id < logits.size(); ++id) {
        const auto token = static_cast<Token>(id);
        if (set != nullptr && !(set->allows(token) && std::isfinite(logits[id]))) continue;
        all.push_back({std::isnan(logits[id]) ? -kInfinity : logits[id], 0.0F, token});
    }
    std::sort(all.begin(), all.end(), is_better);
    return all;
}

void check_logprobs(FuzzedDataProvider* data, const std::vector<float>& logits) {
    LogprobReader reader;
    const auto top = data->ConsumeIntegralInRange<size_t>(0, 20);
    reader.read(logits.data(), logits.size(), top);
    std::vector<Candidate> best = ranked(logits, nullptr);
    const auto impossible = [](const Candidate& c) { return c.logit == -kInfinity; };
    best.erase(std::remove_if(best.begin(), best.end(), impossible), best.end());
    REQUIRE(reader.best().size() == std::min(top, best.size()));
    for (size_t i = 0; i < reader.best().size(); ++i) {
        REQUIRE(reader.best()[i].token == best[i].id);
        if (best[0].logit < kInfinity) REQUIRE(reader.best()[i].logprob <= 0.0F);
    }
}

void check(FuzzedDataProvider* data) {
    constexpr size_t kSizes[] = {1, 2, 15, 16, 17, 33, 64, 100, 600};
    std::vector<float> logits(data->PickValueInArray(kSizes));
    const size_t written = std::min<size_t>(logits.size(), 70);
    for (size_t i = 0; i < written; ++i) logits[i] = take_logit(data);
    for (size_t i = written; i < logits.size(); ++i) logits[i] = logits[i % written];
    const SamplingOptions options = take_options(data);
    const auto history = take_tokens(data, 20, logits.size());
    const auto newlines = take_tokens(data, 2, logits.size());
    const auto suppressed = take_tokens(data, 2, logits.size());
    std::vector<bool> is_allowed(logits.size());
    const auto one_of = data->ConsumeIntegralInRange<int>(0, 20);
    for (size_t i = 0; i < logits.size(); ++i) {
        is_allowed[i] = i < 70 ? data->ConsumeIntegralInRange<int>(0, one_of) == 0 : i % 3 == 0;
    }
    Set set(is_allowed, data->ConsumeBool());
    Set* const constraint = data->ConsumeBool() ? &set : nullptr;
    check_logprobs(data, logits);

    Sampler sampler(logits.size(), newlines, suppressed);
    const std::vector<float> raw = logits;
    Token token = -1;
    try {
        token = sampler.sample(logits.data(), options, history, 7, constraint);
    } catch (const Error& error) {
        REQUIRE(error.code() == Code::kInternal);
    }
    // The penalties are in `logits` now.
    const std::vector<Candidate> best = ranked(logits, constraint);
    const bool has_finite = !best.empty() && std::isfinite(best.front().logit);
    const bool has_nan =
        std::any_of(logits.begin(), logits.end(), [](float logit) { return std::isnan(logit); });
    REQUIRE(has_nan || (token >= 0) == has_finite);
    if (token < 0) return;
    REQUIRE(std::isfinite(logits[static_cast<size_t>(token)]));
    REQUIRE(constraint == nullptr || constraint->allows(token));
    REQUIRE(std::count(suppressed.begin(), suppressed.end(), token) == 0);
    for (size_t id = 0; id < raw.size(); ++id) {
        const float was = sampler.raw_logit(logits.data(), static_cast<Token>(id));
        REQUIRE(was == raw[id] || (std::isnan(was) && std::isnan(raw[id])));
    }
    if (options.temperature <= 0.0F || options.top_k == 1) {
        REQUIRE(token == best.front().id);
        return;
    }
    if (has_nan) return;  // it may hide others, see sampler.h
    const size_t k =
        options.top_k <= 0 ? best.size() : std::min<size_t>(best.size(), options.top_k);
    const auto is_token = [token](const Candidate& c) { return c.id == token; };
    REQUIRE(std::any_of(best.begin(), best.begin() + static_cast<ptrdiff_t>(k), is_token));
    if (options.typical_p < 1.0F || options.top_p < 1.0F || options.min_p > 0.0F) return;
    std::vector<Candidate> left = sampler.candidates();
    REQUIRE(left.size() == k);
    std::sort(left.begin(), left.end(), is_better);
    for (size_t i = 0; i < k && best[i].logit > -kInfinity; ++i) REQUIRE(left[i].id == best[i].id);
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::check(&data);
    return 0;
}
