// One llama_context: its KV cache and its decode call, with every answer made plain.
//
// Streams are llama.cpp's sequences. The caller knows what stands in each of them (PrefixCache) and
// keeps these calls and that record in step; nothing here is asked of llama.cpp that it would
// answer by an abort: batches are cut to size, streams are copied whole, shifts are made where the
// cache allows them.
//
// Threads: the loop's only, apart from construction.
#pragma once

#include <llama-cpp.h>

#include <cstdint>
#include <string>

#include "backend.h"
#include "cache_memory.h"
#include "model.h"
#include "options.h"
#include "threads.h"

namespace llamawire {

// What this model's cache can do; all that depends on the kind of model asks here.
struct CacheKind {
    bool can_shift = false;        // positions can be moved
    bool can_cut = false;          // the end of a stream can be removed; found by trying
    bool is_split = false;         // a stream of cells each, so active ids should be dense
    int32_t stream_size = 0;       // cells of a stream; llama.cpp pads num_ctx
    int32_t unit = 0;              // tokens llama.cpp computes at a time
    uint64_t bytes = 0;            // of all streams, estimated from the model's shape
    bool flash_attention = false;  // asked for, or left to llama.cpp
};

enum class Outcome {
    kDone,
    kNoRoom,   // no cells; nothing changed
    kInvalid,  // llama.cpp refused the batch, a fault of ours; nothing changed
    kAborted,  // by the callback; part of the batch may be in the cache
    kLost,     // the state of the cache is unknown
};

Outcome outcome_of(int32_t answer);  // of llama_decode

// Throws the Error that says why llama.cpp has made no context, from what this thread has logged.
[[noreturn]] void throw_context_failure();

class Context {
  public:
    // `unwanted` is asked while a CPU computes; true ends the call with kAborted. Throws Error:
    // kResourceExhausted (no memory for the cache), kInvalidArgument (not with this model).
    Context(const Model& model, const LoopOptions& options, ggml_abort_callback unwanted,
            void* data);

    const CacheKind& kind() const { return kind_; }
    int32_t num_threads(CallKind kind) const { return threads_.num(kind); }

    // ---- the batch: rows in rising order of streams ---------------------------------------------
    void begin_batch();
    int32_t batch_size() const { return batch_size_; }
    // The entry's index, which `logits` takes.
    int32_t add(int32_t stream, Token token, int32_t position, bool wants_logits);
    // An entry that is given as an embedding, `width` numbers; a batch holds tokens or embeddings.
    int32_t add_embedding(int32_t stream, const float* embedding, int32_t width, int32_t position,
                          bool wants_logits);
    // Whether an entry sees only those before it; not, for some images. True to begin with.
    void set_causal(bool is_causal);
    Outcome decode(CallKind kind, ThreadChoice threads);
    void wait();  // until a GPU is done
    // Waits for the computation if need be. Valid, and the caller's to change, until the next
    // decode; null if the entry has none.
    float* logits(int32_t index);

    // ---- the cache ------------------------------------------------------------------------------
    // Leaves the first `size` tokens. A cache that cannot be cut is emptied only (size 0).
    void cut(int32_t stream, int32_t size);
    void copy(int32_t from, int32_t to);  // all of a stream; done with the next decode
    void shift(int32_t stream, int32_t keep, int32_t discard);
    void clear();

  private:
    struct BatchDeleter {
        void operator()(llama_batch_ext* batch) const { llama_batch_ext_free(batch); }
    };

    llama_context_params params(const Model& model, const LoopOptions& options) const;
    void find_kind(const LoopOptions& options);
    void find_threads();
    bool try_to_cut();
    Outcome process();

    ggml_abort_callback unwanted_;
    void* unwanted_data_;
    Threads threads_;  // outlives the context
    llama_context_ptr handle_;
    CacheMemory cache_memory_;  // of the handle's: goes before it
    std::unique_ptr<llama_batch_ext, BatchDeleter> batch_;
    llama_memory_t memory_;
    int32_t batch_size_ = 0;
    CacheKind kind_;
};

}  // namespace llamawire
