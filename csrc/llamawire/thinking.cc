#include "thinking.h"

#include <algorithm>
#include <utility>

namespace llamawire {

namespace {

bool is_space(char byte) {
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

// Bytes that follow one that begins a character.
int32_t following(unsigned char byte) {
    return byte >= 0xF0 ? 3 : byte >= 0xE0 ? 2 : byte >= 0xC0 ? 1 : 0;
}

}  // namespace

ThinkingBudget::ThinkingBudget(ThinkingOptions options) : options_(std::move(options)) {
    if (options_.budget_tokens < 0) return;
    tail_max_ = options_.opening.size();
    for (const std::string& closing : options_.closings) {
        tail_max_ = std::max(tail_max_, closing.size());
    }
    state_ = options_.is_open ? State::kThinking : State::kBefore;
    force_if_used_up();
}

void ThinkingBudget::accept(std::string_view text) {
    if (state_ == State::kOver) return;
    if (state_ == State::kForced) {
        if (++forced_count_ == options_.ending.size()) state_ = State::kOver;
        return;
    }
    if (state_ == State::kThinking) ++used_;
    for (char byte : text) read(byte);
    force_if_used_up();
}

void ThinkingBudget::read(char byte) {
    const auto value = static_cast<unsigned char>(byte);
    missing_ = (value & 0xC0) == 0x80 ? std::max(missing_ - 1, 0) : following(value);
    if (state_ == State::kOver) return;
    if (state_ == State::kBefore) {
        read_before(byte);
        return;
    }
    tail_.push_back(byte);
    if (tail_.size() > tail_max_) tail_.erase(0, 1);
    const auto is_here = [this](const std::string& closing) { return ends_with(closing); };
    if (std::any_of(options_.closings.begin(), options_.closings.end(), is_here)) {
        enter(options_.reopens ? State::kBefore : State::kOver);
    }
}

// Where thinking can begin in front only, blank space may come before it and nothing else.
void ThinkingBudget::read_before(char byte) {
    if (!options_.reopens && tail_.empty() && is_space(byte)) return;
    tail_.push_back(byte);
    if (options_.reopens && tail_.size() > tail_max_) tail_.erase(0, 1);
    if (ends_with(options_.opening)) {
        enter(State::kThinking);
    } else if (!options_.reopens && options_.opening.compare(0, tail_.size(), tail_) != 0) {
        enter(State::kOver);
    }
}

bool ThinkingBudget::ends_with(std::string_view tag) const {
    return tail_.size() >= tag.size() &&
           tail_.compare(tail_.size() - tag.size(), tag.size(), tag) == 0;
}

void ThinkingBudget::enter(State state) {
    state_ = state;
    tail_.clear();
}

void ThinkingBudget::force_if_used_up() {
    if (state_ != State::kThinking || used_ < options_.budget_tokens) return;
    if (missing_ > 0 && late_ < kLateTokensMax) {
        ++late_;
    } else {
        state_ = State::kForced;
    }
}

}  // namespace llamawire
