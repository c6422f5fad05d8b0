#include "sequence.h"

#include <algorithm>
#include <cassert>
#include <iterator>
#include <limits>

namespace llamawire {

namespace {

int64_t generated_limit(const JobOptions& options, bool shifts) {
    const int64_t contexts = Sequence::kContextsMax * options.num_ctx;
    if (options.num_predict > 0) return std::min<int64_t>(options.num_predict, contexts);
    return shifts ? contexts : std::numeric_limits<int64_t>::max();
}

int32_t kept_in_front(const JobRequest& request, bool adds_bos) {
    const JobOptions& options = request.options;
    const auto prompt_count = static_cast<int64_t>(request.prompt.size());
    const int64_t keep = options.num_keep < 0 ? prompt_count : options.num_keep;
    const int64_t most = std::max(options.num_ctx - Sequence::kShiftReserve, 0);
    return static_cast<int32_t>(std::min(keep + (adds_bos ? 1 : 0), most));
}

}  // namespace

Sequence::Sequence(JobRequest request, const Pieces& pieces, bool can_shift, bool adds_bos)
    : request_(std::move(request)),
      pieces_(pieces),
      shifts_(can_shift && request_.options.shift),
      prompt_count_(static_cast<int64_t>(request_.prompt.size())),
      generated_max_(generated_limit(request_.options, shifts_)),
      keep_(kept_in_front(request_, adds_bos)),
      context_(request_.prompt),
      images_(std::move(request_.images)),
      text_(request_.options.stop, request_.emitted_bytes),
      thinking_(request_.options.thinking) {
    std::copy_if(request_.prompt.begin(), request_.prompt.end(), std::back_inserter(history_),
                 [](Token id) { return !is_placeholder(id); });
    request_.prompt = {};
    for (Token token : request_.generated) {
        if (accept(token) != End::kNone) break;
        make_room();
    }
    request_.generated = {};
}

End Sequence::accept(Token token) {
    assert(end_ == End::kNone);
    history_.push_back(token);
    context_.push_back(token);
    ++generated_count_;
    end_ = end_after(token);
    if (end_ != End::kNone && text_.finish()) end_ = End::kStop;
    return end_;
}

End Sequence::end_after(Token token) {
    if (pieces_.is_end(token)) return End::kStop;
    if (say(token)) return End::kStop;
    if (generated_count() >= generated_max_) return End::kLength;
    if (is_full() && !shifts_) return End::kContext;
    return End::kNone;
}

// True: a stop string ended the text.
bool Sequence::say(Token token) {
    const std::string_view piece = pieces_.piece(token);
    if (!piece.empty()) {
        thinking_.accept(piece);
        return text_.feed(piece);
    }
    const std::string_view spelling = pieces_.spelling(token);
    const std::vector<std::string>& marks = request_.options.marks;
    const bool is_mark = std::find(marks.begin(), marks.end(), spelling) != marks.end();
    thinking_.accept(is_mark ? spelling : std::string_view());
    return is_mark && text_.feed_mark(spelling);
}

std::optional<Shift> Sequence::make_room() {
    if (!is_full()) return std::nullopt;
    assert(shifts_);
    const Shift shift = next_shift();
    const auto first = context_.begin() + shift.keep;
    context_.erase(first, first + shift.discard);
    const auto leaves = [&](const ImageSpan& span) {
        return span.begin >= shift.keep && span.begin < shift.keep + shift.discard;
    };
    images_.erase(std::remove_if(images_.begin(), images_.end(), leaves), images_.end());
    for (ImageSpan& span : images_) {
        if (span.begin >= shift.keep) span.begin -= shift.discard;
    }
    ++shift_count_;
    return shift;
}

Shift Sequence::next_shift() const {
    // The newest token is not in the KV cache yet, so it is not counted.
    const auto decoded = static_cast<int32_t>(context_.size()) - 1;
    int32_t keep = keep_;
    int32_t end = keep + std::max((decoded - keep) / 2, 1);
    for (const ImageSpan& span : images_) {
        if (span.begin < keep && keep < span.end()) keep = span.begin;
        if (span.begin < end && end < span.end()) end = span.end();
    }
    return {keep, end - keep};
}

const ImageSpan& Sequence::image_at(int32_t index) const {
    const auto next =
        std::upper_bound(images_.begin(), images_.end(), index,
                         [](int32_t at, const ImageSpan& span) { return at < span.begin; });
    assert(next != images_.begin());
    return *std::prev(next);
}

}  // namespace llamawire
