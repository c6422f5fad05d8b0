#include "embedder.h"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdlib>
#include <exception>
#include <numeric>
#include <system_error>
#include <thread>
#include <utility>

#include "context.h"
#include "error.h"
#include "matmul.h"
#include "vectors.h"

namespace llamawire {

namespace {

// Smaller batches leave the matrices too narrow. In larger ones the threads of a CPU spend their
// time on pairs of tokens of different inputs, only to find that they do not belong together.
constexpr int32_t kPackCpu = 256;
constexpr int32_t kPackMin = 128;
constexpr int32_t kPackGpu = 2048;
constexpr int32_t kLanesMax = 16;
// Tokens x parameters of a batch from which on it pays to have all threads at it.
constexpr double kWideWork = 2e9;

int32_t pack_target() {
    return Backend::has_gpu() ? kPackGpu : kPackCpu;
}

int32_t round_up(int32_t value, int32_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

enum llama_pooling_type pooling_of(const Model& model, const std::string& wanted) {
    constexpr const char* kNames[] = {"none", "mean", "cls", "last", "rank"};
    const std::string key = model.info().architecture + ".pooling_type";
    char value[32];
    int64_t pooling = 0;
    if (!wanted.empty()) {
        while (pooling < 5 && wanted != kNames[pooling]) ++pooling;
    } else if (llama_model_meta_val_str(model.handle(), key.c_str(), value, sizeof(value)) >= 0) {
        pooling = std::strtoll(value, nullptr, 10);
    }
    // llama.cpp ends the process over a kind that it does not know.
    if (pooling < 0 || pooling > LLAMA_POOLING_TYPE_RANK) {
        throw Error(Code::kInvalidArgument, wanted.empty()
                                                ? key + " " + value + " is not known"
                                                : "pooling must be mean, cls, last or rank");
    }
    return pooling == LLAMA_POOLING_TYPE_NONE ? LLAMA_POOLING_TYPE_MEAN
                                              : static_cast<enum llama_pooling_type>(pooling);
}

void check_embeds(const Model& model) {
    const auto refuse = [&model](const char* reason) {
        throw Error(Code::kInvalidArgument,
                    "the model gives no vectors: " + model.info().description + " " + reason);
    };
    if (!model.info().has_vocab) refuse("has no vocabulary");
    if (model.info().is_diffusion) refuse("is a diffusion model");
    if (model.info().has_encoder && model.info().has_decoder) refuse("has a decoder, too");
}

}  // namespace

// The inputs of one call in falling order of length, cut into batches. Lanes read it together.
struct Work {
    const std::vector<std::vector<Token>>& inputs;
    float* vectors;
    const Cancellation* cancellation;
    std::vector<size_t> order;   // places of the inputs
    std::vector<size_t> bounds;  // of the batches, in `order`

    size_t batch_count() const { return bounds.size() - 1; }
    int32_t tokens(size_t batch) const {
        size_t tokens = 0;
        for (size_t i = bounds[batch]; i < bounds[batch + 1]; ++i) {
            tokens += inputs[order[i]].size();
        }
        return static_cast<int32_t>(tokens);
    }
};

class Lane {
  public:
    Lane(const Model& model, const EmbedderInfo& info, llama_context_params params)
        : model_(model), info_(info), pool_(make_thread_pool(1)) {
        params.abort_callback = is_unwanted;
        params.abort_callback_data = this;
        Backend::take_errors();
        handle_.reset(llama_init_from_model(model.handle(), params));
        if (handle_ == nullptr) throw_context_failure();
        model.adapt(handle_.get());
        memory_ = llama_get_memory(handle_.get());
        tokens_max_ = static_cast<int32_t>(llama_n_ubatch(handle_.get()));
        batch_.reset(llama_batch_ext_init(handle_.get()));
        use_threads(pool_.get(), 1);
    }

    bool has_memory() const { return memory_ != nullptr; }
    int32_t tokens_max() const { return tokens_max_; }

    void use_threads(ggml_threadpool* pool, int32_t count) {
        llama_attach_threadpool(handle_.get(), pool, pool);
        llama_set_n_threads(handle_.get(), count, count);
    }
    void use_one_thread() { use_threads(pool_.get(), 1); }

    // One batch of several inputs, or one input in as many chunks as it takes.
    void embed(const Work& work, size_t batch) {
        if (memory_ != nullptr) llama_memory_clear(memory_, false);
        llama_batch_ext_clear(batch_.get());
        const size_t begin = work.bounds[batch];
        const size_t end = work.bounds[batch + 1];
        int32_t size = 0;
        for (size_t i = begin; i < end; ++i) {
            const std::vector<Token>& input = work.inputs[work.order[i]];
            for (size_t position = 0; position < input.size(); ++position) {
                if (size == tokens_max_) {
                    assert(end == begin + 1);
                    compute(work.cancellation);
                    llama_batch_ext_clear(batch_.get());
                    size = 0;
                }
                add(static_cast<int32_t>(i - begin), input[position],
                    static_cast<int32_t>(position));
                ++size;
            }
        }
        compute(work.cancellation);
        for (size_t i = begin; i < end; ++i) {
            take(static_cast<int32_t>(i - begin),
                 work.vectors + work.order[i] * static_cast<size_t>(info_.width));
        }
    }

  private:
    struct BatchDeleter {
        void operator()(llama_batch_ext* batch) const { llama_batch_ext_free(batch); }
    };

    void add(int32_t sequence, Token token, int32_t position) {
        const int32_t index = llama_batch_ext_add_token(batch_.get(), sequence, token);
        assert(index >= 0);
        llama_batch_ext_set_pos(batch_.get(), index, &position);
        llama_batch_ext_set_output_embd(batch_.get(), index, true);
    }

    void compute(const Cancellation* cancellation) {
        cancellation_ = cancellation;
        const MutedLog muted(is_unwanted, this);
        const bool encodes = memory_ == nullptr || model_.info().has_encoder;
        int32_t answer = 2;
        Backend::take_errors();
        if (!is_unwanted(this)) {
            const bool is_alone = llama_n_threads(handle_.get()) == 1;
            const Matmul::Scope products(memory_ == nullptr && is_alone ? &matmul_ : nullptr);
            answer = llama_process(handle_.get(),
                                   encodes ? LLAMA_PROCESS_TYPE_ENCODE : LLAMA_PROCESS_TYPE_DECODE,
                                   batch_.get());
        }
        cancellation_ = nullptr;
        if (outcome_of(answer) == Outcome::kDone) return;
        if (outcome_of(answer) == Outcome::kAborted) {
            throw Error(Code::kCancelled, "the request was cancelled");
        }
        throw Error(Code::kInternal, "llama.cpp could not compute a batch of inputs (" +
                                         std::to_string(answer) + "): " + Backend::take_errors());
    }

    void take(int32_t sequence, float* vector) {
        const auto width = static_cast<size_t>(info_.width);
        const float* source = llama_get_embeddings_seq(handle_.get(), sequence);
        if (source == nullptr) {
            throw Error(Code::kInternal, "llama.cpp gave no vector for an input");
        }
        std::copy(source, source + width, vector);
        if (!std::all_of(vector, vector + width, [](float x) { return std::isfinite(x); })) {
            throw Error(Code::kInvalidArgument, "embedding contains NaN or Inf values");
        }
        if (!info_.ranks) normalize(vector, width);
    }

    static bool is_unwanted(void* lane) {
        const Cancellation* cancellation = static_cast<Lane*>(lane)->cancellation_;
        if (cancellation == nullptr) return false;
        cancellation->beats.fetch_add(1, std::memory_order_relaxed);
        return cancellation->is_asked.load(std::memory_order_relaxed);
    }

    const Model& model_;
    const EmbedderInfo& info_;
    ThreadPool pool_;  // one thread; outlives the context
    llama_context_ptr handle_;
    std::unique_ptr<llama_batch_ext, BatchDeleter> batch_;
    llama_memory_t memory_ = nullptr;
    int32_t tokens_max_ = 0;
    Matmul matmul_;
    const Cancellation* cancellation_ = nullptr;  // of the call that is computed
};

void EmbedderOptions::check() const {
    const auto require = [](bool holds, const char* text) {
        if (!holds) throw Error(Code::kInvalidArgument, text);
    };
    require(num_ctx >= 1, "num_ctx must be 1 or more");
    require(num_batch >= 1, "num_batch must be 1 or more");
    require(num_thread >= 0, "num_thread must be 0 or more");
}

Embedder::Embedder(std::shared_ptr<const Model> model, const EmbedderOptions& options)
    : model_(std::move(model)), pooling_(LLAMA_POOLING_TYPE_MEAN) {
    options.check();
    check_embeds(*model_);
    pooling_ = pooling_of(*model_, options.pooling);
    choose_limits(options);
    pool_ = make_thread_pool(info_.num_thread);
    const llama_context_params first = params(options);
    lanes_.push_back(std::make_unique<Lane>(*model_, info_, first));
    info_.num_batch = lanes_[0]->tokens_max();
    const bool sees_whole = !lanes_[0]->has_memory() || !model_->info().is_causal ||
                            pooling_ == LLAMA_POOLING_TYPE_MEAN ||
                            pooling_ == LLAMA_POOLING_TYPE_CLS;
    if (sees_whole) {
        info_.input_tokens_max =
            std::min({info_.input_tokens_max, options.num_batch, info_.num_batch});
    }
    // What keeps a cache would keep one for each lane.
    if (!lanes_[0]->has_memory() && !Backend::has_gpu()) add_lanes(first);
}

Embedder::~Embedder() = default;

void Embedder::add_lanes(llama_context_params params) {
    params.n_ubatch = static_cast<uint32_t>(round_up(kPackCpu, sequences_max_));
    params.n_batch = params.n_ubatch;
    for (int32_t i = 1; i < std::min(info_.num_thread, kLanesMax); ++i) {
        lanes_.push_back(std::make_unique<Lane>(*model_, info_, params));
    }
}

void Embedder::choose_limits(const EmbedderOptions& options) {
    const ModelInfo& model = model_->info();
    const int32_t trained = model.num_ctx_train > 0 ? model.num_ctx_train : options.num_ctx;
    // Behind the trained context there are no positions; llama.cpp would abort over one.
    info_.input_tokens_max = std::min(options.num_ctx, trained);
    info_.ranks = pooling_ == LLAMA_POOLING_TYPE_RANK;
    info_.width = info_.ranks ? static_cast<int32_t>(llama_model_n_cls_out(model_->handle()))
                              : llama_model_n_embd_out(model_->handle());
    // Nobody waits for single tokens beside it, and its batches are large however small the model.
    info_.num_thread =
        options.num_thread > 0 ? choose_num_threads(options.num_thread) : usable_physical_cores();
    // A recurrent state is kept for each sequence.
    sequences_max_ = model.is_recurrent ? 1 : kParallelMax;
}

llama_context_params Embedder::params(const EmbedderOptions& options) const {
    llama_context_params params = llama_context_default_params();
    const int32_t batch = std::min(options.num_batch, info_.input_tokens_max);
    // llama.cpp tries its graphs with every sequence in them and rounds the tokens up to a multiple
    // of these, but not the outputs: where that changes the number, it aborts over the mean.
    const auto tokens =
        static_cast<uint32_t>(round_up(std::max(batch, pack_target()), sequences_max_));
    params.n_ctx = std::max(tokens, static_cast<uint32_t>(info_.input_tokens_max));
    params.n_batch = tokens;
    params.n_ubatch = tokens;
    params.n_seq_max = static_cast<uint32_t>(sequences_max_);
    params.kv_unified = true;  // the cells go to whoever needs them
    params.swa_full = true;
    params.embeddings = true;
    params.pooling_type = pooling_;
    // It passes over pairs of tokens that do not belong together, and so is faster on any machine.
    params.flash_attn_type = static_cast<llama_flash_attn_type>(options.flash_attention);
    params.no_perf = true;
    return params;
}

void Embedder::check(const std::vector<std::vector<Token>>& inputs) const {
    for (size_t i = 0; i < inputs.size(); ++i) {
        const std::string name = "input " + std::to_string(i);
        if (inputs[i].empty()) throw Error(Code::kInvalidArgument, name + " has no tokens");
        if (inputs[i].size() > static_cast<size_t>(info_.input_tokens_max)) {
            throw Error(Code::kInvalidArgument, name + " has " + std::to_string(inputs[i].size()) +
                                                    " tokens, and the limit is " +
                                                    std::to_string(info_.input_tokens_max));
        }
        model_->check_tokens(inputs[i].data(), inputs[i].size());
    }
}

void Embedder::embed(const std::vector<std::vector<Token>>& inputs, float* vectors,
                     const Cancellation* cancellation) {
    check(inputs);
    Work work{inputs, vectors, cancellation, std::vector<size_t>(inputs.size()), {}};
    std::iota(work.order.begin(), work.order.end(), size_t{0});
    std::stable_sort(work.order.begin(), work.order.end(),
                     [&inputs](size_t a, size_t b) { return inputs[a].size() > inputs[b].size(); });
    std::vector<int32_t> lengths;
    int64_t total = 0;
    for (size_t i : work.order) {
        lengths.push_back(static_cast<int32_t>(inputs[i].size()));
        total += lengths.back();
    }
    int32_t target = pack_target();
    const auto lane_count = static_cast<int64_t>(lanes_.size());
    if (lane_count > 1) {  // a share for each
        target = static_cast<int32_t>(
            std::clamp<int64_t>((total + lane_count - 1) / lane_count, kPackMin, target));
    }
    work.bounds = pack(lengths, target, sequences_max_);

    const std::lock_guard<std::mutex> lock(turn_);
    size_t first_short = 0;
    while (first_short < work.batch_count() && lengths[work.bounds[first_short]] > target) {
        ++first_short;
    }
    const bool are_many = lane_count > 1 && work.batch_count() - first_short >= lanes_.size();
    compute_wide(work, 0, are_many ? first_short : work.batch_count());
    if (are_many) compute_in_lanes(work, first_short);
}

// One batch after the other, by as many threads as each is worth.
void Embedder::compute_wide(const Work& work, size_t begin, size_t end) {
    const auto parameters = static_cast<double>(model_->info().parameter_count);
    for (size_t batch = begin; batch < end; ++batch) {
        if (parameters * work.tokens(batch) >= kWideWork) {
            lanes_[0]->use_threads(pool_.get(), info_.num_thread);
        } else {
            lanes_[0]->use_one_thread();
        }
        lanes_[0]->embed(work, batch);
    }
}

// Each lane takes the next batch when it is done with one; the first failure ends all.
void Embedder::compute_in_lanes(const Work& work, size_t begin) {
    std::atomic<size_t> next{begin};
    std::mutex failing;
    std::exception_ptr failure;
    const auto run = [&](Lane* lane) {
        try {
            lane->use_one_thread();
            for (size_t batch = next++; batch < work.batch_count(); batch = next++) {
                lane->embed(work, batch);
            }
        } catch (...) {
            const std::lock_guard<std::mutex> lock(failing);
            if (failure == nullptr) failure = std::current_exception();
            next = work.batch_count();
        }
    };
    std::vector<std::thread> threads;
    try {
        for (size_t i = 1; i < lanes_.size(); ++i) threads.emplace_back(run, lanes_[i].get());
    } catch (const std::system_error&) {
        // No more threads to be had; those that run take all the batches.
    }
    run(lanes_[0].get());
    for (std::thread& thread : threads) thread.join();
    if (failure != nullptr) std::rethrow_exception(failure);
}

}  // namespace llamawire
