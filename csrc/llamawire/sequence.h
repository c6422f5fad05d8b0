// One job's tokens: what was said, what of it stands in the context, and when it ends.
//
// A sequence knows no llama.cpp. It takes each sampled token and says whether that was the last
// one; it decides when a full context is shortened, and how. All of this is a function of the
// prompt, the options and the generated ids, so that a job whose worker died is brought back by its
// ids: text, limits and shifts come out as they did (only the KV cache has to be computed again).
//
// The context. `context()` is the tokens that stand at positions 0, 1, 2 … of the row's KV stream.
// The last one may not be decoded yet. Its size never exceeds num_ctx:
//
//   * without shift, the job ends (kContext) as soon as prompt and generated fill num_ctx;
//   * with shift, `make_room` keeps the first K tokens, drops the next half of the rest, and the
//     remainder moves up. K = num_keep (all of the prompt when negative), and one more where the
//     vocabulary adds a BOS; at most num_ctx - kShiftReserve. An image is one piece: it stays whole
//     in front of K's end or leaves whole, so a shift may keep less and drop more.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "options.h"
#include "text.h"
#include "thinking.h"

namespace llamawire {

// What the sequence asks of a vocabulary; `Model` answers, and tests have small ones of their own.
class Pieces {
  public:
    virtual ~Pieces() = default;
    virtual std::string_view piece(Token token) const = 0;         // special tokens have none
    virtual std::string_view spelling(Token) const { return {}; }  // of those that have none
    virtual bool is_end(Token token) const = 0;                    // an end of generation
};

enum class End { kNone, kStop, kLength, kContext, kCancelled };

// The positions [keep, keep + discard) leave; what stands behind them moves down by `discard`.
struct Shift {
    int32_t keep;
    int32_t discard;
};

class Sequence {
  public:
    static constexpr int32_t kShiftReserve = 4;
    // Without num_predict a job with shift would never end: Ollama's limit.
    static constexpr int64_t kContextsMax = 10;

    // `request` has been checked. Replays its `generated` tokens; the job may be over by that.
    // can_shift: the model's KV cache can move; adds_bos: its vocabulary puts a BOS in front.
    Sequence(JobRequest request, const Pieces& pieces, bool can_shift, bool adds_bos);

    // Takes the token that was sampled. What is not kNone is final.
    End accept(Token token);
    // Shortens the context if it is full; the caller does the same to the KV cache.
    std::optional<Shift> make_room();
    // The token that must come next, whatever the logits are; -1: none must.
    Token forced_token() const { return thinking_.forced(); }
    // The text that became certain since the last call.
    std::string take_text() { return text_.take(); }

    End end() const { return end_; }
    uint64_t job_id() const { return request_.job_id; }
    const JobOptions& options() const { return request_.options; }
    Constraint* constraint() const { return request_.constraint.get(); }  // may be null
    // Prompt and generated, without what stands for images; what the penalties look at.
    const std::vector<Token>& history() const { return history_; }
    const std::vector<Token>& context() const { return context_; }
    int64_t prompt_count() const { return prompt_count_; }
    // The images that stand in the context, in order.
    const std::vector<ImageSpan>& images() const { return images_; }
    // The one whose entries `index` of the context belongs to, which must be a placeholder.
    const ImageSpan& image_at(int32_t index) const;
    int64_t generated_count() const { return generated_count_; }
    // How much of the context is prompt, as far as that can be told: all of one that was shifted.
    int32_t prompt_size() const {
        const auto size = static_cast<int32_t>(context_.size());
        return shift_count_ > 0 ? size : size - static_cast<int32_t>(generated_count_);
    }
    int64_t shift_count() const { return shift_count_; }

  private:
    End end_after(Token token);
    bool say(Token token);
    Shift next_shift() const;
    bool is_full() const {
        return static_cast<int32_t>(context_.size()) >= request_.options.num_ctx;
    }

    JobRequest request_;
    const Pieces& pieces_;
    const bool shifts_;
    int64_t prompt_count_;
    int64_t generated_count_ = 0;
    int64_t generated_max_;
    int32_t keep_;
    std::vector<Token> history_;
    std::vector<Token> context_;
    std::vector<ImageSpan> images_;
    Text text_;
    ThinkingBudget thinking_;
    int64_t shift_count_ = 0;
    End end_ = End::kNone;
};

}  // namespace llamawire
