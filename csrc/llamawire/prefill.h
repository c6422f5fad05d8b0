// Prompts on their way into the cache: where each is put, which one has the next chunk, how large
// that is, and what they share.
//
// Order and size of chunks: prefill_policy.h. While rows decode a chunk fits into what is left of
// the turn's budget. Chunks are cut in units (prefix_cache.h); where a unit takes longer than the
// budget, a job that need not be reproducible is cut finer.
//
// Short rests of prompts share a call, so that those who come together soon share their decode calls,
// too. No such rest is a whole unit, so the promise of prefix_cache.h holds: those who share a call do
// not run alone. What is isolated is computed alone, and so are prompts with images.
//
// A common beginning is computed once. A prompt that comes while another one (its leader) computes
// what both begin with waits until that stands in the cache, and copies it. The leader does for
// both what the other would have done alone, and has the other's place in the order, so waiting
// never takes longer than computing. A leader that is cancelled or paused leads no more: who waited
// takes what there is and goes on alone, or behind another.
//
// Threads: the loop's only.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "context.h"
#include "prefill_policy.h"
#include "prefix_cache.h"
#include "rows.h"

namespace llamawire {

// The tokens of a row's context at [begin, end), to be computed by one call.
struct Chunk {
    int32_t stream = -1;  // -1: none
    int32_t begin = 0;
    int32_t end = 0;

    int32_t size() const { return end - begin; }
};

class Prefill {
  public:
    // All three are borrowed, and outlive this.
    Prefill(Context* context, PrefixCache* cache, Rows* rows)
        : context_(*context), cache_(*cache), rows_(*rows) {}

    // Finds a stream for a new row, takes over what the cache holds of its context, and says to
    // whom it listens. The caller puts the row into the stream.
    int32_t place(Row* row);
    // The chunks of the next call, of streams that rise. While rows decode they take about `left`,
    // but at least the smallest piece of one; with `must_fit` there are none if that takes longer.
    void next(std::chrono::nanoseconds left, bool rows_decode, bool must_fit,
              std::vector<Chunk>* chunks);
    // They were computed by one call, and stand in the cache.
    void computed(const std::vector<Chunk>& chunks, std::chrono::nanoseconds time);

  private:
    PlacementRequest request(const Row& row) const;
    int32_t copy_cost() const;
    void settle(int32_t stream);
    void find_leader(Row* row, int32_t held);
    int32_t shared(const Row& leader, const Row& row) const;
    bool has_leader(const Row& row) const;
    void list_candidates();
    double remaining(const Row& row, int32_t begin) const;
    static int32_t prompt_end(const Row& row);
    Chunk chunk(int32_t stream, std::chrono::nanoseconds left, bool rows_decode) const;
    bool shares_call(const Chunk& chunk) const;
    void add_short(double ns_left, std::vector<Chunk>* chunks);

    Context& context_;
    PrefixCache& cache_;
    Rows& rows_;
    PrefillSpeed speed_;
    PromptOrder order_;
    std::vector<PromptCandidate> candidates_;  // scratch, kept for its memory
};

}  // namespace llamawire
