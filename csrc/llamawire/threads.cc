#include "threads.h"

#include <ggml-backend.h>
#include <llama.h>

#include <algorithm>
#include <limits>
#include <string>
#include <vector>

#include "backend.h"
#include "error.h"

namespace llamawire {

namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

// Of a call's graph, computed by one thread. With two cores both kinds are found within 20 ms.
constexpr microseconds kSliceNs{1500};
// A node or two say little: some are no products.
constexpr int64_t kSliceNodesMin = 8;
constexpr int kRounds = 3;
constexpr microseconds kTinyNs{1000};
// More threads must be worth it: they take their CPUs from those who read the tokens.
constexpr double kGain = 0.9;
// A slice that takes so many times the best one ends there.
constexpr int kSlowest = 2;
// Idle threads look for work this long before they sleep: about 130,000 looks, 2 to 3 ms. That is
// the time between two steps; ggml's own 50 would keep a CPU busy for 100 ms behind the last one.
constexpr uint32_t kPoll = 1;

// Times the first nodes of a call's graph; ends the call behind them.
class Slice {
  public:
    Slice(int64_t nodes_max, nanoseconds limit) : nodes_max_(nodes_max), limit_(limit) {}

    // llama.cpp's abort callback, after each node. The clock starts behind the first one: until
    // then threads wake up.
    static bool on_node(void* slice) {
        auto* const self = static_cast<Slice*>(slice);
        const Clock::time_point now = Clock::now();
        if (self->nodes_++ == 0) self->begin_ = now;
        self->time_ = now - self->begin_;
        const bool is_over = self->time_ >= self->limit_ && self->nodes_ >= kSliceNodesMin;
        self->is_cut_ = is_over || self->nodes_ >= self->nodes_max_;
        return self->is_cut_;
    }

    nanoseconds time() const { return time_; }
    int64_t nodes() const { return nodes_; }
    bool is_cut() const { return is_cut_; }

  private:
    int64_t nodes_max_;
    nanoseconds limit_;
    int64_t nodes_ = 0;
    bool is_cut_ = false;
    Clock::time_point begin_;
    nanoseconds time_{0};
};

std::vector<int32_t> counts_for(int32_t wanted) {
    if (wanted > 0 || Backend::has_gpu()) return {choose_num_threads(wanted)};
    return thread_counts(usable_physical_cores());
}

template <typename Function>
Function cpu_function(const char* name) {
    ggml_backend_dev_t device = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
    if (device == nullptr) throw Error(Code::kInternal, "ggml has no CPU backend");
    ggml_backend_reg_t registry = ggml_backend_dev_backend_reg(device);
    void* function = ggml_backend_reg_get_proc_address(registry, name);
    if (function == nullptr) {
        throw Error(Code::kInternal, std::string("ggml's CPU backend lacks ") + name);
    }
    return reinterpret_cast<Function>(function);
}

// The fewest threads that are not clearly slower than more.
size_t best_of(const std::vector<nanoseconds>& times) {
    size_t best = 0;
    for (size_t i = 1; i < times.size(); ++i) {
        const auto least = static_cast<double>(times[best].count());
        if (static_cast<double>(times[i].count()) < kGain * least) best = i;
    }
    return best;
}

}  // namespace

int32_t choose_num_threads(int32_t wanted) {
    if (wanted > 0) return std::min(wanted, usable_cpus());
    return std::max(usable_physical_cores() - 1, 1);
}

ThreadPool make_thread_pool(int32_t num_threads) {
    using New = ggml_threadpool* (*)(ggml_threadpool_params*);
    const auto make = cpu_function<New>("ggml_threadpool_new");
    ggml_threadpool_params params = ggml_threadpool_params_default(num_threads);
    params.poll = kPoll;
    ThreadPool pool(make(&params));
    if (pool == nullptr) throw Error(Code::kResourceExhausted, "no thread pool could be made");
    return pool;
}

void ThreadPoolDeleter::operator()(ggml_threadpool* pool) const {
    using Free = void (*)(ggml_threadpool*);
    cpu_function<Free>("ggml_threadpool_free")(pool);
}

Threads::Threads(int32_t wanted)
    : counts_(counts_for(wanted)),
      decode_(counts_, counts_.back()),
      prefill_(counts_, counts_.back()) {}

void Threads::find(llama_context* context, CallKind kind, const std::function<void()>& call) {
    if (counts_.size() == 1 || decode_.is_fixed()) return;
    const auto run = [&](int32_t count, Slice slice) {
        use(context, count);
        llama_set_abort_callback(context, Slice::on_node, &slice);
        const MutedLog muted([](void*) { return true; }, nullptr);
        call();
        return slice;
    };
    const Clock::time_point begin = Clock::now();
    const Slice first = run(1, Slice(std::numeric_limits<int64_t>::max(), kSliceNs));
    const bool is_tiny = !first.is_cut() && Clock::now() - begin < kTinyNs;
    if (kind == CallKind::kDecode && is_tiny) {
        decode_ = prefill_ = ThreadTuner({1}, 1);
        return;
    }
    std::vector<nanoseconds> times(counts_.size(), nanoseconds::max());
    times[0] = first.time();
    for (int round = 0; round < kRounds; ++round) {
        // The first slice was one thread's first round.
        for (size_t i = round == 0 ? 1 : 0; i < counts_.size(); ++i) {
            const nanoseconds limit = kSlowest * *std::min_element(times.begin(), times.end());
            const Slice slice = run(counts_[i], Slice(first.nodes(), limit));
            if (slice.nodes() == first.nodes()) times[i] = std::min(times[i], slice.time());
        }
    }
    tuner(kind) = ThreadTuner(counts_, counts_[best_of(times)]);
}

void Threads::prepare(llama_context* context, CallKind kind, ThreadChoice choice) {
    if (choice == ThreadChoice::kFixed) {
        use(context, counts_.back());
    } else {
        use(context, tuner(kind).next(choice == ThreadChoice::kProbe));
    }
}

// A pool of each size, since the threads of a larger one would wake up only to look on.
void Threads::use(llama_context* context, int32_t count) {
    ThreadPool& pool = pools_[count];
    if (pool == nullptr) pool = make_thread_pool(count);
    llama_attach_threadpool(context, pool.get(), pool.get());
    llama_set_n_threads(context, count, count);
}

}  // namespace llamawire
