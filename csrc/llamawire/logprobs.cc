#include "logprobs.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace llamawire {

namespace {

constexpr size_t kBlock = 512;
constexpr size_t kLanes = 16;
constexpr float kLowest = -std::numeric_limits<float>::infinity();
// What is this far below the best of its block adds nothing that a float could hold.
constexpr float kFarBelow = -80.0F;

struct Better {
    bool operator()(const Logprob& a, const Logprob& b) const {
        return a.logprob > b.logprob || (a.logprob == b.logprob && a.token < b.token);
    }
};

// e^x for x from kFarBelow to 0, to 2e-7 of its value; written so that compilers make vector
// instructions of it. 2^n from the bits of n, the rest by its series.
float exponential(float x) {
    const float scaled = x * 1.44269504F;
    const float rounded = scaled + 12582912.0F;  // the low bits are now those of the integer
    const float rest = (scaled - (rounded - 12582912.0F)) * 0.693147181F;
    int32_t bits = 0;
    std::memcpy(&bits, &rounded, sizeof bits);
    bits = static_cast<int32_t>(static_cast<uint32_t>(bits) << 23U);
    float series = 1.0F / 720.0F;
    series = series * rest + 1.0F / 120.0F;
    series = series * rest + 1.0F / 24.0F;
    series = series * rest + 1.0F / 6.0F;
    series = series * rest + 0.5F;
    series = series * rest + 1.0F;
    series = series * rest + 1.0F;
    int32_t value = 0;
    std::memcpy(&value, &series, sizeof value);
    value += bits;
    std::memcpy(&series, &value, sizeof series);
    return series;
}

// A comparison with what is not a number is false, so that never becomes the greatest.
float greatest(const float* values, size_t count) {
    float lanes[kLanes];
    std::fill(std::begin(lanes), std::end(lanes), kLowest);
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            lanes[lane] = values[i + lane] > lanes[lane] ? values[i + lane] : lanes[lane];
        }
    }
    for (; i < count; ++i) lanes[0] = values[i] > lanes[0] ? values[i] : lanes[0];
    return *std::max_element(std::begin(lanes), std::end(lanes));
}

double sum_of_exponentials(const float* values, size_t count, float best) {
    float lanes[kLanes] = {};
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            const float below = values[i + lane] - best;
            lanes[lane] += exponential(below > kFarBelow ? below : kFarBelow);
        }
    }
    double sum = 0.0;
    for (float lane : lanes) sum += lane;
    for (; i < count; ++i) sum += values[i] > kLowest ? std::exp(values[i] - best) : 0.0F;
    return sum;
}

}  // namespace

// The heap's front is the worst of the best so far; a block without a better one is passed over.
void LogprobReader::read(const float* logits, size_t count, size_t top) {
    best_.clear();
    float best = kLowest;
    double sum = 0.0;
    const auto offer = [&](size_t id) {
        if (!(logits[id] > kLowest)) return;
        const Logprob offered = {static_cast<Token>(id), logits[id]};
        if (best_.size() == top) {
            if (!Better()(offered, best_.front())) return;
            std::pop_heap(best_.begin(), best_.end(), Better());
            best_.pop_back();
        }
        best_.push_back(offered);
        std::push_heap(best_.begin(), best_.end(), Better());
    };
    for (size_t begin = 0; begin < count; begin += kBlock) {
        const size_t size = std::min(kBlock, count - begin);
        const float here = greatest(logits + begin, size);
        if (here == kLowest) continue;
        if (here > best) {
            sum *= std::exp(static_cast<double>(best) - here);
            best = here;
        }
        sum += sum_of_exponentials(logits + begin, size, best);
        if (top == 0 || (best_.size() == top && here < best_.front().logprob)) continue;
        for (size_t id = begin; id < begin + size; ++id) offer(id);
    }
    log_sum_ = best + std::log(sum);
    std::sort_heap(best_.begin(), best_.end(), Better());
    for (Logprob& one : best_) one.logprob = logprob(one.logprob);
}

float LogprobReader::logprob(float logit) const {
    return static_cast<float>(std::min(logit - log_sum_, 0.0));
}

}  // namespace llamawire
