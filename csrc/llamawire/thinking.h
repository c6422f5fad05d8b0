// How long a model may think.
//
//   before ──opening──▶ thinking ──too long──▶ forced ──all said──▶ over
//     ▲ └─anything else──▶ over     │
//     └───────if it reopens──────closing──▶ over
//
// It counts the tokens between the tags. When there are as many as the budget allows, the next ones
// are those of the ending, whatever the logits are; the model goes on behind it. The ending begins
// between whole characters, so up to kLateTokensMax tokens more may come first.
//
// All of it follows from the tokens' texts, so a replay comes to the same state.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "options.h"

namespace llamawire {

class ThinkingBudget {
  public:
    static constexpr int32_t kLateTokensMax = 3;

    // A budget_tokens of -1 forces nothing.
    explicit ThinkingBudget(ThinkingOptions options);

    // The token that must come next; -1: none must.
    Token forced() const { return state_ == State::kForced ? options_.ending[forced_count_] : -1; }
    // Takes the text of the token that came, marks included; may be empty.
    void accept(std::string_view text);

  private:
    enum class State { kBefore, kThinking, kForced, kOver };

    void read(char byte);
    void read_before(char byte);
    bool ends_with(std::string_view tag) const;
    void enter(State state);
    void force_if_used_up();

    ThinkingOptions options_;
    State state_ = State::kOver;
    std::string tail_;  // the last bytes of the text, as many as the longest tag has
    size_t tail_max_ = 0;
    int32_t used_ = 0;     // tokens of thinking
    int32_t late_ = 0;     // of these beyond the budget
    int32_t missing_ = 0;  // bytes until the character is whole
    size_t forced_count_ = 0;
};

}  // namespace llamawire
