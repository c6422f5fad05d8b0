// Vectors for texts, and scores for pairs of texts: one llama_context of its own over a model.
//
// Many inputs go into one call of llama.cpp, each with a sequence id of its own. What is known of
// the kind of model decides how long an input may be:
//
//   - Encoders see a whole input at once, so one has to fit llama.cpp's physical batch, which has
//     num_batch tokens or more. llama.cpp aborts the process over a longer one: it is refused.
//   - Causal models that take the last token's state are computed in chunks, up to num_ctx.
//
// Inputs are taken in falling order of length and filled up to a target of tokens, so that a batch
// is full and its sequences are about equally long. The order of the answers is the order of the
// inputs.
//
// On a CPU the batches of an encoder are shared out among lanes: contexts over the same weights
// with one thread each, which never wait for each other as the threads of one context do after
// every operation. A few batches, or long ones, are computed by all threads together instead.
//
// Threads: any; calls take turns.
#pragma once

#include <llama-cpp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "backend.h"
#include "model.h"
#include "threads.h"

namespace llamawire {

struct EmbedderOptions {
    int32_t num_ctx = 2048;        // most tokens of an input; the trained context is a limit, too
    int32_t num_batch = 2048;      // most tokens of an input that is computed at once
    int32_t num_thread = 0;        // 0: by physical cores, affinity and cgroup quota
    int32_t flash_attention = -1;  // -1: where the backend has it, 0: off, 1: on
    std::string pooling;           // none (as the file says, or mean), mean, cls, last or rank

    void check() const;  // throws Error(kInvalidArgument) that names the option
};

struct EmbedderInfo {
    int32_t width = 0;             // numbers for each input
    int32_t input_tokens_max = 0;  // longer inputs are refused
    int32_t num_batch = 0;         // tokens that llama.cpp computes at a time
    int32_t num_thread = 0;
    bool ranks = false;  // the numbers are scores of a pair, not a vector of length 1
};

// Shared by the thread that embeds and whoever watches it, and may lose interest.
struct Cancellation {
    std::atomic<bool> is_asked{false};
    // Moves with every node of the graph that a CPU computes for the call.
    mutable std::atomic<int64_t> beats{0};

    void ask() { is_asked.store(true); }
};

class Lane;   // a context and one thread; see embedder.cc
struct Work;  // the inputs of one call

class Embedder {
  public:
    // Throws Error: kInvalidArgument (an option, or a model that gives no vectors),
    // kResourceExhausted (memory).
    Embedder(std::shared_ptr<const Model> model, const EmbedderOptions& options);
    ~Embedder();
    Embedder(const Embedder&) = delete;
    Embedder& operator=(const Embedder&) = delete;

    const EmbedderInfo& info() const { return info_; }

    // Writes info().width numbers for each input to `vectors`, in the order of the inputs. Vectors
    // have length 1; one that is zero stays so. `cancellation` may be null.
    //
    // Throws Error: kInvalidArgument (an empty input, one too long, a token outside the vocabulary,
    // numbers that are not finite), kCancelled, kInternal.
    void embed(const std::vector<std::vector<Token>>& inputs, float* vectors,
               const Cancellation* cancellation);

  private:
    void choose_limits(const EmbedderOptions& options);
    llama_context_params params(const EmbedderOptions& options) const;
    void add_lanes(llama_context_params params);
    void check(const std::vector<std::vector<Token>>& inputs) const;
    void compute_wide(const Work& work, size_t begin, size_t end);
    void compute_in_lanes(const Work& work, size_t begin);

    std::shared_ptr<const Model> model_;
    EmbedderInfo info_;
    enum llama_pooling_type pooling_;  // llama.cpp has a function of this name, too
    int32_t sequences_max_ = 1;
    ThreadPool pool_;  // all threads, for the first lane; outlives the lanes
    std::vector<std::unique_ptr<Lane>> lanes_;
    std::mutex turn_;  // over all that is computed
};

}  // namespace llamawire
