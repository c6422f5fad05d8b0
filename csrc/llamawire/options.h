// What a caller may choose: a struct for the loop, one for a job, a default and a comment a field.
//
// Values mean what Ollama's `options` mean (the names are the same down from the wire). Both
// structs are checked once, where they enter; behind that, every value is in range.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "image_span.h"
#include "token.h"

namespace llamawire {

class Constraint;

// llama.cpp numbers its sequences below this (LLAMA_MAX_SEQ).
constexpr int32_t kParallelMax = 256;
constexpr size_t kStopsMax = 64;
constexpr size_t kStopBytesMax = 4096;
constexpr int32_t kTopLogprobsMax = 20;
constexpr size_t kMarksMax = 64;
constexpr size_t kMarkBytesMax = 256;      // of a mark, and of a tag around thinking
constexpr size_t kThinkingEndingMax = 64;  // tokens
constexpr int32_t kImageChunkMax = 16384;
constexpr int32_t kPriorityMin = -10;
constexpr int32_t kPriorityMax = 10;
constexpr size_t kCallerBytesMax = 256;

struct LoopOptions {
    int32_t num_parallel = 4;  // rows decoded at the same time, each with a KV stream of its own
    int32_t num_ctx = 4096;    // context of each stream, in tokens
    int32_t num_batch = 512;   // most prompt tokens in one call of llama_decode
    int32_t num_thread = 0;    // 0: found by trying, see threads.h
    int32_t queue_max = 1024;  // jobs that may wait for a stream
    int32_t flash_attention = -1;       // -1: where the backend has it, 0: off, 1: on
    std::string kv_cache_type = "f16";  // f32, f16, bf16, q8_0, q5_1, q5_0, q4_1 or q4_0
    bool kv_unified = false;            // one pool of cells for all rows instead of one each
    int32_t prefill_budget_ms = 50;     // prefill between two decode steps, while rows decode
    // Embeddings of an image that see those behind them too: so many are computed in one piece.
    int32_t image_chunk_max = 0;

    // For tests: called before each llama_decode with the rows in it; a code other than 0 is taken
    // for llama_decode's answer, and the call is left out.
    std::function<int32_t(size_t)> decode_fault;

    void check() const;  // throws Error(kInvalidArgument) that names the option
};

struct SamplingOptions {
    uint64_t seed = 0;              // resolved: equal seeds draw equal numbers
    float temperature = 0.8F;       // <= 0: greedy
    int32_t top_k = 40;             // <= 0: off
    float top_p = 0.9F;             // >= 1: off
    float min_p = 0.0F;             // <= 0: off
    float typical_p = 1.0F;         // >= 1: off; 0 counts as not given
    int32_t repeat_last_n = 64;     // window of the penalties, prompt included; 0: off, -1: num_ctx
    float repeat_penalty = 1.0F;    // positive logit / r, negative logit * r
    float presence_penalty = 0.0F;  // subtracted once for a token in the window
    float frequency_penalty = 0.0F;  // subtracted for each time it stands there
    bool penalize_newline = true;    // false: the newline's logit stays as it is

    bool has_penalties() const {
        return repeat_last_n != 0 &&
               (repeat_penalty != 1.0F || presence_penalty != 0.0F || frequency_penalty != 0.0F);
    }
};

// Thinking of limited length, see thinking.h.
struct ThinkingOptions {
    int32_t budget_tokens = -1;         // most tokens of thinking; -1: no limit
    std::string opening;                // the text that begins it
    std::vector<std::string> closings;  // the texts that end it
    bool is_open = false;               // the prompt has begun it
    bool reopens = false;       // it may begin anywhere, again and again; else only in front
    std::vector<Token> ending;  // what the model is made to say when the budget is used up
};

struct JobOptions {
    int32_t num_ctx = 0;       // context of this job; 0: the stream's own
    int32_t num_batch = 0;     // as the loop's, for this job; 0: the loop's
    int32_t num_predict = -1;  // most tokens to generate; <= 0: the context's limit alone
    int32_t num_keep = 4;      // tokens a context shift leaves in front; < 0: the whole prompt
    bool shift = true;         // shorten a full context and go on
    bool cache_prompt = true;  // take over what a stream still holds of the prompt
    // Take over only what a cold cache would have computed in the same way, so that the text does
    // not depend on what ran before (see prefix_cache.h). false reuses more.
    bool reproducible = true;
    // Calls of its own for this job, of shapes that depend on nothing but its tokens, also when it
    // goes on after a crash: the same text alone, in company, and in another process on the same
    // machine, until the context is shifted. Implies `reproducible`; costs the sharing of calls.
    bool isolated = false;
    int32_t priority = 0;  // among the jobs that wait, -10 to 10: higher ones go first (line.h)
    std::string user;      // whose job it is: users have equal shares (line.h); may be empty
    SamplingOptions sampling;
    std::vector<std::string> stop;      // empty strings are ignored
    std::string grammar;                // GBNF that the text must follow, see gbnf.h; empty: none
    std::string grammar_root = "root";  // the rule of it that is the whole text
    // GBNF, with a rule `root`, of what comes before the text that the grammar is for. It is over
    // with the first mark behind which it is complete; a text of it that ends otherwise is the
    // whole. Empty: nothing comes before.
    std::string grammar_frame;
    // Control tokens, which have no text, that become text all the same: those spelt so (text.h).
    std::vector<std::string> marks;
    ThinkingOptions thinking;
    // Log-probabilities of each token, and of this many alternatives, up to 20; -1: none.
    int32_t top_logprobs = -1;

    // Throws Error(kInvalidArgument) that names the option. The loop's limits fill in what is 0.
    void check_and_resolve(const LoopOptions& loop);
};

// What one job is: ids in, and what a crashed predecessor had done.
struct JobRequest {
    uint64_t job_id = 0;
    std::vector<Token> prompt;
    std::vector<ImageSpan> images;  // of the prompt, in order; see image_span.h
    std::vector<Token> generated;   // by the worker that died, in order
    uint64_t emitted_bytes = 0;     // of text that reached the reader before it died
    JobOptions options;
    std::shared_ptr<Constraint> constraint;  // of options.grammar; the loop makes it at submit
};

}  // namespace llamawire
