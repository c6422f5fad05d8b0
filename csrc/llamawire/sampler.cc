#include "sampler.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

#include "error.h"
#include "random.h"

namespace llamawire {

namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr size_t kLanes = 16;
// Beyond this many, choosing by a heap is slower than partitioning a copy of the whole row.
constexpr size_t kHeapMax = 512;
constexpr size_t kTopPFirst = 256;
// Candidates of which a constraint is asked at first.
constexpr size_t kAskedFirst = 64;

// A type and not a function, so that sorting can inline it.
struct Better {
    bool operator()(const Candidate& a, const Candidate& b) const {
        return a.logit > b.logit || (a.logit == b.logit && a.id < b.id);
    }
};
constexpr Better kBetter;

// NaN would break the order that sorting relies on; as the lowest value it is never chosen.
Candidate candidate(const float* logits, size_t id) {
    const float logit = std::isnan(logits[id]) ? kLowest : logits[id];
    return {logit, 0.0F, static_cast<Token>(id)};
}

// The greatest of kLanes floats; written so that compilers make vector instructions of it. One that
// is not a number may hide another: to look for those would make a third more of the whole choice.
float block_max(const float* values) {
    float lanes[kLanes / 2];
    for (size_t i = 0; i < kLanes / 2; ++i) {
        lanes[i] = values[i] > values[i + kLanes / 2] ? values[i] : values[i + kLanes / 2];
    }
    float best = lanes[0];
    for (size_t i = 1; i < kLanes / 2; ++i) best = lanes[i] > best ? lanes[i] : best;
    return best;
}

Token greatest(const float* logits, size_t count) {
    float lanes[kLanes];
    std::fill(std::begin(lanes), std::end(lanes), kLowest);
    size_t i = 0;
    for (; i + kLanes <= count; i += kLanes) {
        for (size_t lane = 0; lane < kLanes; ++lane) {
            lanes[lane] = logits[i + lane] > lanes[lane] ? logits[i + lane] : lanes[lane];
        }
    }
    float best = *std::max_element(std::begin(lanes), std::end(lanes));
    for (; i < count; ++i) best = logits[i] > best ? logits[i] : best;
    return static_cast<Token>(std::find(logits, logits + count, best) - logits);
}

}  // namespace

Sampler::Sampler(size_t vocab_size, std::vector<Token> newlines, std::vector<Token> suppressed)
    : vocab_size_(vocab_size),
      newlines_(std::move(newlines)),
      suppressed_(std::move(suppressed)),
      counts_(vocab_size, 0) {}

Token Sampler::sample(float* logits, const SamplingOptions& options,
                      const std::vector<Token>& history, uint64_t index, Constraint* constraint) {
    changed_.clear();
    for (Token token : suppressed_) {
        changed_.emplace_back(token, logits[token]);
        logits[token] = kLowest;
    }
    if (options.has_penalties()) penalize(logits, options, history);

    const bool is_greedy = options.temperature <= 0.0F || options.top_k == 1;
    if (is_greedy && constraint == nullptr) {
        const Token token = greatest(logits, vocab_size_);
        if (token >= static_cast<Token>(vocab_size_) || !std::isfinite(logits[token])) {
            throw Error(Code::kInternal, "the model gave no finite logit");
        }
        return token;
    }

    const auto k = is_greedy ? 1 : static_cast<size_t>(std::max(options.top_k, 0));
    if (constraint != nullptr) {
        keep_allowed(logits, k == 0 ? vocab_size_ : std::min(k, vocab_size_), constraint);
        if (is_greedy) return candidates_.front().id;
    } else if (k == 0) {
        keep_all(logits);
    } else {
        keep_top_k(logits, std::min(k, vocab_size_));
    }
    if (options.typical_p < 1.0F) keep_typical(options.typical_p);
    if (options.top_p < 1.0F) keep_top_p(options.top_p);
    if (options.min_p > 0.0F) keep_min_p(options.min_p);
    return draw(options.temperature, uniform(options.seed, index, 0));
}

// Every token of the window once, with its count. The counts live in an array of the vocabulary's
// size that is all zero before and after: a walk over the window each way, nothing to keep per row.
void Sampler::penalize(float* logits, const SamplingOptions& options,
                       const std::vector<Token>& history) {
    if (!options.penalize_newline) {
        newline_logits_.clear();
        for (Token token : newlines_) newline_logits_.push_back(logits[token]);
    }
    const size_t window = std::min<size_t>(options.repeat_last_n, history.size());
    const Token* begin = history.data() + (history.size() - window);
    for (size_t i = 0; i < window; ++i) ++counts_[begin[i]];
    for (size_t i = 0; i < window; ++i) {
        const int32_t count = std::exchange(counts_[begin[i]], 0);
        if (count == 0) continue;
        float& logit = logits[begin[i]];
        changed_.emplace_back(begin[i], logit);
        logit = logit <= 0.0F ? logit * options.repeat_penalty : logit / options.repeat_penalty;
        logit -= static_cast<float>(count) * options.frequency_penalty + options.presence_penalty;
    }
    if (!options.penalize_newline) {
        for (size_t i = 0; i < newlines_.size(); ++i) logits[newlines_[i]] = newline_logits_[i];
    }
}

float Sampler::raw_logit(const float* logits, Token token) const {
    const auto found = std::find_if(changed_.begin(), changed_.end(),
                                    [token](const auto& one) { return one.first == token; });
    return found == changed_.end() ? logits[token] : found->second;
}

void Sampler::keep_all(const float* logits) {
    candidates_.resize(vocab_size_);
    for (size_t id = 0; id < vocab_size_; ++id) candidates_[id] = candidate(logits, id);
    sorted_ = false;
}

// The heap's front is the worst of the k best so far; a block without a better one is passed over.
void Sampler::keep_top_k(const float* logits, size_t k) {
    if (k > kHeapMax) {
        keep_all(logits);
        sort_first(k);
        candidates_.resize(k);
        sorted_ = true;
        return;
    }
    candidates_.clear();
    for (size_t id = 0; id < k; ++id) candidates_.push_back(candidate(logits, id));
    std::make_heap(candidates_.begin(), candidates_.end(), kBetter);
    const auto offer = [&](size_t id) {
        if (!(logits[id] > candidates_.front().logit)) return;
        std::pop_heap(candidates_.begin(), candidates_.end(), kBetter);
        candidates_.back() = {logits[id], 0.0F, static_cast<Token>(id)};
        std::push_heap(candidates_.begin(), candidates_.end(), kBetter);
    };
    size_t id = k;
    for (; id + kLanes <= vocab_size_; id += kLanes) {
        if (!(block_max(logits + id) > candidates_.front().logit)) continue;
        for (size_t lane = 0; lane < kLanes; ++lane) offer(id + lane);
    }
    for (; id < vocab_size_; ++id) offer(id);
    std::sort_heap(candidates_.begin(), candidates_.end(), kBetter);
    sorted_ = true;
}

// The k best that are allowed, in order. A token whose logit is not finite is never one of them.
void Sampler::keep_allowed(const float* logits, size_t k, Constraint* constraint) {
    allowed_.clear();
    if (constraint->list_few(&allowed_)) {
        keep_listed(logits);
    } else {
        keep_allowed_of_many(logits, k, constraint);
    }
    sort_first(std::min(k, candidates_.size()));
    if (candidates_.empty()) {
        throw Error(Code::kInternal, "the model has no token that the format allows here");
    }
    candidates_.resize(std::min(k, candidates_.size()));
    sorted_ = true;
}

void Sampler::keep_allowed_of_many(const float* logits, size_t k, Constraint* constraint) {
    const size_t first = std::min(std::max(kAskedFirst, k + k / 2), vocab_size_);
    const size_t second = std::min(kHeapMax, vocab_size_);
    size_t found = first <= kHeapMax ? keep_allowed_of_best(logits, first, constraint) : 0;
    // As many of more would be enough.
    if (found < k && found * second >= k * first) {
        found = keep_allowed_of_best(logits, second, constraint);
    }
    if (found >= k) return;
    allowed_.clear();
    constraint->list_allowed(&allowed_);
    keep_listed(logits);
}

void Sampler::keep_listed(const float* logits) {
    candidates_.clear();
    for (Token token : allowed_) {
        if (!std::isfinite(logits[token])) continue;
        candidates_.push_back({logits[token], 0.0F, token});
    }
    sorted_ = false;
}

// Of the `count` best; how many there are.
size_t Sampler::keep_allowed_of_best(const float* logits, size_t count, Constraint* constraint) {
    keep_top_k(logits, count);
    constraint->filter(candidates_.data(), candidates_.size());
    const auto refused = [](const Candidate& c) { return !std::isfinite(c.logit); };
    candidates_.erase(std::remove_if(candidates_.begin(), candidates_.end(), refused),
                      candidates_.end());
    return candidates_.size();
}

// Locally typical sampling: the candidates whose information is nearest to the entropy, until their
// probabilities sum to p.
void Sampler::keep_typical(float p) {
    sort_first(candidates_.size());
    sorted_ = true;
    softmax();
    float entropy = 0.0F;
    for (const Candidate& c : candidates_) {
        if (c.p > 0.0F) entropy += -c.p * std::log(c.p);
    }
    scores_.clear();
    for (const Candidate& c : candidates_) {
        scores_.push_back(c.p > 0.0F ? std::fabs(-std::log(c.p) - entropy)
                                     : std::numeric_limits<float>::infinity());
    }
    order_.resize(candidates_.size());
    std::iota(order_.begin(), order_.end(), 0U);
    std::sort(order_.begin(), order_.end(), [&](uint32_t a, uint32_t b) {
        return scores_[a] < scores_[b] || (scores_[a] == scores_[b] && a < b);
    });
    kept_.clear();
    float sum = 0.0F;
    for (uint32_t i : order_) {
        kept_.push_back(candidates_[i]);
        sum += candidates_[i].p;
        if (sum > p) break;
    }
    candidates_.swap(kept_);
    sorted_ = false;
}

// Mostly a few candidates carry the sum, so an unsorted row is put in order from the front only,
// and further when that was not enough.
void Sampler::keep_top_p(float p) {
    softmax();
    size_t ordered = sorted_ ? candidates_.size() : 0;
    float sum = 0.0F;
    size_t count = 0;
    while (count < candidates_.size()) {
        if (count == ordered) {
            ordered = std::min(std::max(kTopPFirst, ordered * 4), candidates_.size());
            sort_first(ordered);
        }
        sum += candidates_[count++].p;
        if (sum >= p) break;
    }
    candidates_.resize(count);
    sorted_ = true;
}

void Sampler::keep_min_p(float p) {
    const float lowest = max_logit() + std::log(p);
    const auto unlikely = [&](const Candidate& c) { return c.logit < lowest; };
    const auto end = std::remove_if(candidates_.begin(), candidates_.end(), unlikely);
    // The best one stays even where p > 1 puts the bound above it.
    if (end == candidates_.begin()) {
        sort_first(1);
        candidates_.resize(1);
    } else {
        candidates_.erase(end, candidates_.end());
    }
}

Token Sampler::draw(float temperature, double number) {
    const float best = max_logit();
    if (!std::isfinite(best)) throw Error(Code::kInternal, "the model gave no finite logit");
    double sum = 0.0;
    for (Candidate& c : candidates_) {
        // The difference first: a logit over a temperature of 1e-38 is infinite.
        c.p = std::exp((c.logit - best) / temperature);
        sum += c.p;
    }
    const double target = sum * number;
    double running = 0.0;
    for (const Candidate& c : candidates_) {
        running += c.p;
        if (running >= target && c.p > 0.0F) return c.id;
    }
    // Rounding alone can lead here; the last candidate that can be drawn is the right one then.
    const auto last = std::find_if(candidates_.rbegin(), candidates_.rend(),
                                   [](const Candidate& c) { return c.p > 0.0F; });
    assert(last != candidates_.rend());
    return last->id;
}

void Sampler::softmax() {
    const float best = max_logit();
    float sum = 0.0F;
    for (Candidate& c : candidates_) {
        c.p = std::exp(c.logit - best);
        sum += c.p;
    }
    for (Candidate& c : candidates_) c.p /= sum;
}

float Sampler::max_logit() const {
    float best = candidates_.front().logit;
    if (sorted_) return best;
    for (const Candidate& c : candidates_) best = std::max(best, c.logit);
    return best;
}

// Puts the `count` best in front and in order; the rest follows in no order.
void Sampler::sort_first(size_t count) {
    if (sorted_) return;
    const auto middle = candidates_.begin() + static_cast<ptrdiff_t>(count);
    if (middle != candidates_.end()) {
        std::nth_element(candidates_.begin(), middle, candidates_.end(), kBetter);
    }
    std::sort(candidates_.begin(), middle, kBetter);
}

}  // namespace llamawire
