// What each KV stream holds, and how much of it a new prompt may take over.
//
// The promise: a request with a seed that runs alone gives the same text on a cold and on a warm
// cache. A KV row is a sum of floats, and kernels add in an order that depends on how many tokens
// one call computes: one column goes through a matrix-vector kernel, many through a matrix-matrix
// kernel, whose tiles depend on the count. So a row that was computed in other company differs in
// its last bits, and some hundred tokens later a near-tie may fall the other way.
//
// The rule that keeps the promise. A prompt is prefilled alone in its calls (but for a last piece that
// meets others, see prefill.h) and cut at the multiples of a `unit` counted from position 0; llama.cpp
// computes it in pieces (ubatches) of exactly one unit, and the last piece, 1 to `unit` tokens, is the
// one that gives logits. Hence
//
//   * the KV rows of a whole unit [k*unit, (k+1)*unit) are a function of the tokens before its end
//     and of nothing else: not of the prompt's length, of the neighbours, or of the time budget;
//   * the last piece of a prompt starts at the greatest multiple of the unit below its length,
//     cold or warm, and is always computed.
//
// A stream counts how many of its tokens stand in such whole units from position 0 on (`exact`). A
// reproducible job takes over whole exact units and computes the rest; what it computes, and its
// first logits, are then bit for bit those of a cold run. Tokens that were generated (computed one
// by one) and tokens that a context shift moved are never exact.
//
// Images (image_span.h). One call computes tokens or embeddings, so a prefill is cut where they meet
// as well, and the first piece behind such a cut ends at the next multiple of the unit. These cuts
// are a function of the ids too, so all of the above holds with them; a reuse never ends within a
// chunk of embeddings.
//
// Other jobs take over the whole common prefix, generated tokens too: a chat's next turn computes
// only what is new. Their text may differ from a cold run in the way said above.
//
// The unit is small where that costs nothing: a CPU is bound by arithmetic from some dozen columns
// on (kUnitCpu: measured, 32 is slower and 512 no faster); a GPU wants more (kUnitGpu), and
// computes quickly what is lost to rounding down. A job's num_batch below the unit is its unit.
//
// Placement. The ids of active streams should leave no gaps (llama.cpp splits a batch at each one),
// so a job goes to a stream within or next to the active range: the one where most is won and least
// of value lost. If another stream, idle or busy, holds more of the prompt, its stream is copied
// first when that is cheaper than computing.
//
// Threads: the loop's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "options.h"

namespace llamawire {

constexpr int32_t kUnitCpu = 64;
constexpr int32_t kUnitGpu = 256;

// Where the next call of a prefill that stands at `begin` ends: a multiple of `unit` or `size`, at
// most about `tokens_max` further on, but one piece at least.
int32_t chunk_end(int32_t begin, int32_t size, int32_t unit, int32_t tokens_max);

// How many tokens two contexts begin with alike.
int32_t common_prefix(const std::vector<Token>& a, const std::vector<Token>& b);

// What one KV stream holds.
struct Stream {
    std::vector<Token> tokens;  // at positions 0, 1, 2 …
    int32_t unit = 0;           // in which the exact ones were computed
    int32_t exact = 0;          // tokens up to a cut that a cold run computes alike
    int32_t regular = 0;        // where the last call of a prefill ended that has been exact so far
    bool busy = false;
    uint64_t last_used = 0;
};

struct Placement {
    int32_t stream = -1;  // -1: none is free
    int32_t source = -1;  // the stream to copy from first; -1: none
    int32_t reused = 0;   // tokens that stay
};

struct PlacementRequest {
    const std::vector<Token>& context;
    int32_t unit;
    bool reuse;  // cache_prompt, and the model's cache can be cut
    bool reproducible;
    bool dense;         // stay next to the busy streams
    int32_t copy_cost;  // of a whole stream, in tokens of prefill that take as long
    bool may_copy = true;
};

class PrefixCache {
  public:
    explicit PrefixCache(int32_t num_streams) : streams_(num_streams) {}

    // The stream that suits best. Changes nothing: the caller copies and cuts, then calls `occupy`.
    Placement place(const PlacementRequest& request) const;
    // The stream, idle or busy, that most can be taken over from, as `source`.
    Placement richest(const PlacementRequest& request) const;

    // Records what was done to the KV cache.
    void occupy(const Placement& placement);
    void free(int32_t stream);
    void fork(int32_t source, int32_t stream, int32_t size);  // copied, and cut to `size`
    void prefilled(int32_t stream, const std::vector<Token>& context, int32_t end, int32_t unit);
    void decoded(int32_t stream, Token token);
    void cut(int32_t stream, int32_t size);
    void shifted(int32_t stream, int32_t keep, int32_t discard);
    void moved(int32_t from, int32_t to);  // the row now lives in `to`; `from` is free
    void clear();                          // every KV row is gone; who is busy stays busy

    const Stream& stream(int32_t id) const { return streams_[static_cast<size_t>(id)]; }
    int32_t size(int32_t id) const { return static_cast<int32_t>(stream(id).tokens.size()); }
    int32_t num_streams() const { return static_cast<int32_t>(streams_.size()); }

  private:
    Stream& at(int32_t id) { return streams_[static_cast<size_t>(id)]; }
    int32_t reusable(const Stream& stream, const PlacementRequest& request) const;
    std::vector<int32_t> eligible(bool dense) const;

    std::vector<Stream> streams_;
    uint64_t clock_ = 0;
};

}  // namespace llamawire
