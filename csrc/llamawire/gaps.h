// Keeps the batches of a decode step dense.
//
// llama.cpp splits a batch where the stream ids have a gap, which doubles the work. A gap is filled
// by a ghost row: a token appended to a stream that does not take part (idle, paused, or in
// prefill) and removed again, so what the stream holds survives. Where ghosts would outnumber the
// rows, the topmost row moves into an idle gap instead; where that does not help, the gap stays.
//
// One step: `close`, then `add_below` before each row goes into the batch, the call, `take_out`.
//
// Threads: the loop's only.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "context.h"
#include "prefix_cache.h"
#include "rows.h"

namespace llamawire {

class Gaps {
  public:
    // All three are borrowed, and outlive this.
    Gaps(Context* context, PrefixCache* cache, Rows* rows)
        : context_(*context), cache_(*cache), rows_(*rows) {}

    // `streams` are those of the rows that decode, rising; a row that moves changes its stream.
    void close(std::vector<int32_t>* streams);
    // Adds the ghosts below `stream` that are not in the batch yet.
    void add_below(int32_t stream);
    // Removes from the cache what the ghosts have put there.
    void take_out();
    size_t num_ghosts() const { return ghosts_.size(); }

  private:
    void move_topmost(std::vector<int32_t>* streams);

    Context& context_;
    PrefixCache& cache_;
    Rows& rows_;
    std::vector<int32_t> ghosts_;  // streams, rising
    size_t added_ = 0;             // of them, to the batch
};

}  // namespace llamawire
