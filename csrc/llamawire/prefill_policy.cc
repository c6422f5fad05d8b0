#include "prefill_policy.h"

#include <algorithm>
#include <cmath>
#include <tuple>

namespace llamawire {

namespace {

constexpr double kFade = 0.9;  // of the older calls, at each new one
// A base below this part of the mean would be an artefact of the fit.
constexpr double kBaseMin = 0.1;

}  // namespace

void PrefillSpeed::measured(int32_t begin, int32_t end, double ns) {
    if (end <= begin || ns <= 0.0) return;
    const double tokens = end - begin;
    const double depth = (begin + end) / 2.0;
    const double each = ns / tokens;
    weight_ = kFade * weight_ + tokens;
    x_ = kFade * x_ + tokens * depth;
    y_ = kFade * y_ + tokens * each;
    xx_ = kFade * xx_ + tokens * depth * depth;
    xy_ = kFade * xy_ + tokens * depth * each;
}

PrefillSpeed::Line PrefillSpeed::line() const {
    const double mean = y_ / weight_;
    const double spread = weight_ * xx_ - x_ * x_;
    // All at one depth: nothing is known of the slope.
    if (spread <= 1e-6 * weight_ * xx_) return {mean, 0.0};
    const double slope = std::max((weight_ * xy_ - x_ * y_) / spread, 0.0);
    const double base = mean - slope * x_ / weight_;
    if (base >= kBaseMin * mean) return {base, slope};
    return {kBaseMin * mean, (1.0 - kBaseMin) * y_ / x_};
}

double PrefillSpeed::ns(int32_t begin, int32_t end) const {
    if (!is_measured() || end <= begin) return 0.0;
    const auto [base, slope] = line();
    return (end - begin) * (base + slope * (begin + end) / 2.0);
}

int32_t PrefillSpeed::tokens_within(int32_t begin, double ns) const {
    if (!is_measured() || ns <= 0.0) return 0;
    const auto [base, slope] = line();
    const double first = base + slope * begin;  // ns of the token at `begin`
    // n tokens take n * first + slope * n^2 / 2.
    const double tokens = 2.0 * ns / (first + std::sqrt(first * first + 2.0 * slope * ns));
    return static_cast<int32_t>(std::min(tokens, 1e9));
}

bool PromptOrder::is_shorter(const PromptCandidate& a, const PromptCandidate& b) {
    return std::make_tuple(-a.priority, a.remaining, a.age) <
           std::make_tuple(-b.priority, b.remaining, b.age);
}

int32_t PromptOrder::next(const std::vector<PromptCandidate>& candidates) {
    if (candidates.empty()) return -1;
    const bool takes_oldest = ++chunks_ % kOldestEvery == 0;
    const auto before = [takes_oldest](const PromptCandidate& a, const PromptCandidate& b) {
        return takes_oldest ? a.age < b.age : is_shorter(a, b);
    };
    return std::min_element(candidates.begin(), candidates.end(), before)->stream;
}

}  // namespace llamawire
