// The threads that compute: pools of them, and how many each kind of call has.
//
// Few rows read all the weights for little arithmetic, a chunk of a prompt computes much with what
// it reads, so the two kinds of call have numbers of their own. Where nobody has chosen, both are
// found when the context is made, by trying: the beginning of a call's graph is computed with each
// number in turn, for about a millisecond (kSliceNs), a few rounds, and the least time of each
// counts, since other processes can only make it greater. Later the numbers follow the machine's
// load (thread_tuner.h).
//
// A model so small that a decode call is over within kTinyNs has one thread for both: its threads
// would wait for each other more than compute, and whoever reads its tokens needs the other CPUs. On a GPU the CPU only hands out work; there the number is a rule.
//
// Threads: the loop's only, apart from construction.
#pragma once

#include <ggml.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "thread_tuner.h"

struct ggml_threadpool;
struct llama_context;

namespace llamawire {

// How many threads a computation on the CPU has that nobody measures. `wanted` 0: the physical
// cores this process may use, within the cgroup's quota, less one for those who read the tokens.
// Greater values are capped at the CPUs this process may use.
int32_t choose_num_threads(int32_t wanted);

// ggml's thread pool for the CPU backend, by the function pointers the backend registers, so that
// it works where backends are loaded at run time.
struct ThreadPoolDeleter {
    void operator()(ggml_threadpool* pool) const;
};
using ThreadPool = std::unique_ptr<ggml_threadpool, ThreadPoolDeleter>;
ThreadPool make_thread_pool(int32_t num_threads);

enum class CallKind : uint8_t { kDecode, kPrefill };

enum class ThreadChoice : uint8_t {
    kFixed,  // what was asked for, or all cores: the same in every process on this machine
    kFound,
    kProbe,  // found, or another number to compare it with: the call may take longer than usual
};

class Threads {
  public:
    // `wanted` 0: as it turns out. The context is borrowed by each call; this outlives it.
    explicit Threads(int32_t wanted);

    // Finds the number for a kind, decode first, by making calls of it, unless it is fixed. `call` begins a batch
    // from an empty cache and computes it, or part of it, as the abort callback says.
    void find(llama_context* context, CallKind kind, const std::function<void()>& call);

    // Before a call.
    void prepare(llama_context* context, CallKind kind, ThreadChoice choice);
    // A call that was not kFixed took so long; `size` as for ThreadTuner.
    void measured(CallKind kind, int64_t size, std::chrono::nanoseconds time) {
        tuner(kind).measured(size, static_cast<double>(time.count()));
    }

    int32_t num(CallKind kind) const {
        return kind == CallKind::kDecode ? decode_.chosen() : prefill_.chosen();
    }

  private:
    ThreadTuner& tuner(CallKind kind) { return kind == CallKind::kDecode ? decode_ : prefill_; }
    void use(llama_context* context, int32_t count);

    std::map<int32_t, ThreadPool> pools_;  // by their number of threads, made when first used
    std::vector<int32_t> counts_;
    ThreadTuner decode_;
    ThreadTuner prefill_;
};

}  // namespace llamawire
