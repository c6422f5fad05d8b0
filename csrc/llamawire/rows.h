// The jobs that have a stream, by stream: the loop's table, and the questions it asks of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "sequence.h"

namespace llamawire {

struct Row {
    // A row that has no more of its own yet lets prompts that came with it go first: the one that
    // is read while they arrive, and the step in which they are seen.
    static constexpr int64_t kFirstTokens = 2;

    using Clock = std::chrono::steady_clock;

    explicit Row(Sequence of) : sequence(std::move(of)) {}

    Sequence sequence;
    uint64_t age = 0;    // order of admission
    int32_t unit = 0;    // of its prefill, see prefix_cache.h
    int32_t cached = 0;  // prompt tokens that were not computed
    int32_t tries = 0;   // caches lost under it
    // While it waits for another's prefill (prefill.h): whose, and how far. -1: it waits for none.
    int32_t leader = -1;  // a stream
    uint64_t leader_age = 0;
    int32_t shared = 0;  // tokens
    bool paused = false;
    bool has_begun = false;  // its prefill, and its events
    bool generates = false;  // all of the context but the newest token is in the cache
    int64_t sampled = 0;     // tokens, here and not by a worker that died
    Clock::time_point prefill_begin, first_token, last_token;

    bool decodes() const { return generates && !paused; }
    bool flows() const { return decodes() && sampled > kFirstTokens; }
    bool prefills() const { return !generates && !paused; }
};

// Streams are numbered from 0 to size() - 1; -1 stands for none.
class Rows {
  public:
    explicit Rows(int32_t num_streams) : rows_(static_cast<size_t>(num_streams)) {}

    int32_t size() const { return static_cast<int32_t>(rows_.size()); }
    Row* at(int32_t stream) const {
        return rows_[static_cast<size_t>(stream)].get();
    }  // may be null
    std::unique_ptr<Row>& slot(int32_t stream) { return rows_[static_cast<size_t>(stream)]; }

    int32_t find(uint64_t job_id) const;
    bool has_free() const;
    bool has_decoding() const;
    // One that decodes has more than its first tokens, so that a reader sees it stand still.
    bool has_flowing() const;
    // Neither decodes nor prefills.
    bool stand_still() const;
    // The streams of the rows that decode, rising: those that share a call, or those that are
    // isolated.
    void list_decoding(std::vector<int32_t>* streams, bool isolated = false) const;
    // Of these, the one that came last.
    int32_t newest(const std::vector<int32_t>& streams) const;

  private:
    std::vector<std::unique_ptr<Row>> rows_;
};

}  // namespace llamawire
