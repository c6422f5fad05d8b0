#include "options.h"

#include <algorithm>
#include <cmath>

#include "error.h"

namespace llamawire {

namespace {

void require(bool holds, const char* option, const std::string& expected) {
    if (!holds) {
        throw Error(Code::kInvalidArgument, std::string(option) + " must be " + expected);
    }
}

void require_finite(float value, const char* option) {
    require(std::isfinite(value), option, "a finite number");
}

void require_marks(const std::vector<std::string>& marks, const char* option) {
    require(marks.size() <= kMarksMax, option, "at most " + std::to_string(kMarksMax) + " texts");
    for (const std::string& mark : marks) {
        require(!mark.empty() && mark.size() <= kMarkBytesMax, option,
                "texts of 1 to " + std::to_string(kMarkBytesMax) + " bytes");
    }
}

void require_thinking(const ThinkingOptions& thinking) {
    require(thinking.budget_tokens >= -1, "thinking_budget", "-1 (no limit), 0 or greater");
    if (thinking.budget_tokens < 0) return;
    require_marks({thinking.opening}, "thinking_opening");
    require_marks(thinking.closings, "thinking_closings");
    require(!thinking.ending.empty() && thinking.ending.size() <= kThinkingEndingMax,
            "thinking_ending", "1 to " + std::to_string(kThinkingEndingMax) + " tokens");
}

}  // namespace

void LoopOptions::check() const {
    require(num_parallel >= 1 && num_parallel <= kParallelMax, "num_parallel",
            "between 1 and " + std::to_string(kParallelMax));
    require(num_ctx >= 4 && num_ctx <= 16777216, "num_ctx", "between 4 and 16777216");
    require(num_batch >= 1 && num_batch <= 1048576, "num_batch", "between 1 and 1048576");
    require(num_thread >= 0, "num_thread", "0 (automatic) or greater");
    require(queue_max >= 0, "queue_max", "0 or greater");
    require(prefill_budget_ms >= 0, "prefill_budget_ms", "0 or greater");
    require(image_chunk_max >= 0 && image_chunk_max <= kImageChunkMax, "image_chunk_max",
            "between 0 and " + std::to_string(kImageChunkMax));
    static const char* const kTypes[] = {"f32",  "f16",  "bf16", "q8_0",
                                         "q5_1", "q5_0", "q4_1", "q4_0"};
    require(std::find(std::begin(kTypes), std::end(kTypes), kv_cache_type) != std::end(kTypes),
            "kv_cache_type", "one of f32, f16, bf16, q8_0, q5_1, q5_0, q4_1, q4_0");
}

void JobOptions::check_and_resolve(const LoopOptions& loop) {
    require(num_ctx == 0 || (num_ctx >= 4 && num_ctx <= loop.num_ctx), "num_ctx",
            "0 or between 4 and the loop's " + std::to_string(loop.num_ctx));
    require(num_batch >= 0, "num_batch", "0 or greater");
    require_finite(sampling.temperature, "temperature");
    require_finite(sampling.top_p, "top_p");
    require_finite(sampling.min_p, "min_p");
    require_finite(sampling.typical_p, "typical_p");
    require_finite(sampling.repeat_penalty, "repeat_penalty");
    require(sampling.repeat_penalty > 0.0F, "repeat_penalty", "greater than 0");
    require_finite(sampling.presence_penalty, "presence_penalty");
    require_finite(sampling.frequency_penalty, "frequency_penalty");
    require(sampling.repeat_last_n >= -1, "repeat_last_n", "-1 (num_ctx), 0 (off) or greater");

    stop.erase(std::remove_if(stop.begin(), stop.end(), [](const auto& s) { return s.empty(); }),
               stop.end());
    require(stop.size() <= kStopsMax, "stop", "at most " + std::to_string(kStopsMax) + " strings");
    size_t bytes = 0;
    for (const std::string& text : stop) bytes += text.size();
    require(bytes <= kStopBytesMax, "stop",
            "at most " + std::to_string(kStopBytesMax) + " bytes in all");

    require(!isolated || !loop.kv_unified, "isolated", "false where kv_unified is on");
    require(top_logprobs >= -1 && top_logprobs <= kTopLogprobsMax, "top_logprobs",
            "-1 (none) or between 0 and " + std::to_string(kTopLogprobsMax));

    require_marks(marks, "marks");
    require_thinking(thinking);
    require(priority >= kPriorityMin && priority <= kPriorityMax, "priority",
            "between " + std::to_string(kPriorityMin) + " and " + std::to_string(kPriorityMax));
    require(user.size() <= kCallerBytesMax, "user",
            "at most " + std::to_string(kCallerBytesMax) + " bytes");

    reproducible = reproducible || isolated;
    if (num_ctx == 0) num_ctx = loop.num_ctx;
    num_batch = num_batch == 0 ? loop.num_batch : std::min(num_batch, loop.num_batch);
    if (sampling.repeat_last_n == -1) sampling.repeat_last_n = num_ctx;
    if (sampling.typical_p <= 0.0F) sampling.typical_p = 1.0F;
}

}  // namespace llamawire
