#include "context.h"

#include <algorithm>
#include <cassert>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <utility>

#include "error.h"
#include "prefix_cache.h"

namespace llamawire {

namespace {

constexpr uint64_t kMiB = uint64_t{1024} * 1024;
constexpr int32_t kPadding = 256;  // llama.cpp's, for the cells of a stream
// Of a prompt, to find the number of threads by: enough to be computed as more would be.
constexpr int32_t kTriedTokens = 32;

int32_t round_up(int32_t value, int32_t multiple) {
    return (value + multiple - 1) / multiple * multiple;
}

ggml_type cache_type(const std::string& name) {
    constexpr ggml_type kTypes[] = {GGML_TYPE_F32,  GGML_TYPE_F16,  GGML_TYPE_BF16, GGML_TYPE_Q8_0,
                                    GGML_TYPE_Q5_1, GGML_TYPE_Q5_0, GGML_TYPE_Q4_1, GGML_TYPE_Q4_0};
    for (ggml_type type : kTypes) {
        if (name == ggml_type_name(type)) return type;
    }
    throw Error(Code::kInvalidArgument, "unknown kv_cache_type " + name);
}

int64_t metadata_number(const Model& model, const std::string& key, int64_t otherwise) {
    char value[64];
    const std::string full = model.info().architecture + "." + key;
    if (llama_model_meta_val_str(model.handle(), full.c_str(), value, sizeof(value)) < 0) {
        return otherwise;
    }
    return std::strtoll(value, nullptr, 10);
}

int64_t head_size(const Model& model) {
    const int32_t heads = std::max(llama_model_n_head(model.handle()), 1);
    return metadata_number(model, "attention.key_length",
                           llama_model_n_embd(model.handle()) / heads);
}

// llama.cpp's own choice is flash attention wherever it can. On a CPU that is slower for heads so
// narrow that setting up each dot product costs more than the product (measured: 70% at 16).
llama_flash_attn_type flash_attention(const Model& model, const LoopOptions& options) {
    constexpr int64_t kNarrowHead = 64;
    const bool needed = ggml_is_quantized(cache_type(options.kv_cache_type));
    if (options.flash_attention < 0 && !needed && !Backend::has_gpu() &&
        head_size(model) < kNarrowHead) {
        return LLAMA_FLASH_ATTN_TYPE_DISABLED;
    }
    return static_cast<llama_flash_attn_type>(options.flash_attention);
}

uint64_t cache_bytes(const Model& model, const llama_context_params& params) {
    const llama_model* handle = model.handle();
    const int64_t k_size = head_size(model);
    const int64_t v_size = metadata_number(model, "attention.value_length", k_size);
    const auto elements = static_cast<double>((k_size + v_size) * llama_model_n_head_kv(handle));
    const double bytes = static_cast<double>(ggml_type_size(params.type_k)) /
                         static_cast<double>(ggml_blck_size(params.type_k));
    return static_cast<uint64_t>(elements * bytes * params.n_ctx * llama_model_n_layer(handle));
}

// Linux promises more memory than there is, and all of it is taken behind the load: better to say no
// than to be killed.
void check_memory(uint64_t bytes) {
    std::ifstream file("/proc/meminfo");
    std::string name;
    uint64_t kib = 0;
    while (file >> name >> kib) {
        if (name == "MemAvailable:" && bytes / 1024 > kib) {
            throw Error(Code::kResourceExhausted,
                        "the KV cache needs " + std::to_string(bytes / kMiB) + " MiB and " +
                            std::to_string(kib * 1024 / kMiB) +
                            " MiB are free; reduce num_ctx or num_parallel");
        }
        file.ignore(std::numeric_limits<std::streamsize>::max(), '\n');
    }
}

}  // namespace

void throw_context_failure() {
    const std::string errors = Backend::take_errors();
    const bool memory =
        errors.find("alloc") != std::string::npos || errors.find("memory") != std::string::npos;
    throw Error(memory ? Code::kResourceExhausted : Code::kInvalidArgument,
                "no context could be made: " + (errors.empty() ? "no reason given" : errors));
}

Outcome outcome_of(int32_t answer) {
    switch (answer) {
        case 0:
            return Outcome::kDone;
        case 1:
            return Outcome::kNoRoom;
        case 2:
            return Outcome::kAborted;
        case -1:
            return Outcome::kInvalid;
        default:
            return Outcome::kLost;
    }
}

Context::Context(const Model& model, const LoopOptions& options, ggml_abort_callback unwanted,
                 void* data)
    : unwanted_(unwanted), unwanted_data_(data), threads_(options.num_thread) {
    llama_context_params wanted = params(model, options);
    wanted.abort_callback = unwanted;
    wanted.abort_callback_data = data;
    kind_.bytes = cache_bytes(model, wanted);
    kind_.flash_attention = wanted.flash_attn_type != LLAMA_FLASH_ATTN_TYPE_DISABLED;
    if (!Backend::has_gpu()) check_memory(kind_.bytes);

    Backend::take_errors();
    {
        const CacheMemory::Scope collected(&cache_memory_);
        handle_.reset(llama_init_from_model(model.handle(), wanted));
    }
    if (handle_ == nullptr) throw_context_failure();
    memory_ = llama_get_memory(handle_.get());
    if (memory_ == nullptr) {
        throw Error(Code::kInvalidArgument, "the model cannot generate text: " +
                                                model.info().description + " keeps no context");
    }
    model.adapt(handle_.get());
    batch_.reset(llama_batch_ext_init(handle_.get()));
    find_kind(options);
    find_threads();
    cache_memory_.commit();
}

llama_context_params Context::params(const Model& model, const LoopOptions& options) const {
    llama_context_params params = llama_context_default_params();
    const int64_t cells = int64_t{round_up(options.num_ctx, kPadding)} * options.num_parallel;
    if (cells > std::numeric_limits<int32_t>::max()) {
        throw Error(Code::kResourceExhausted, "num_ctx x num_parallel is beyond 2147483647 tokens");
    }
    const int32_t unit = Backend::has_gpu() ? kUnitGpu : kUnitCpu;
    const int32_t ubatch =
        round_up(std::max({unit, options.num_parallel, options.image_chunk_max}), unit);
    params.n_ctx = static_cast<uint32_t>(cells);
    params.n_seq_max = static_cast<uint32_t>(options.num_parallel);
    params.n_ubatch = static_cast<uint32_t>(ubatch);
    params.n_batch = static_cast<uint32_t>(std::max(options.num_batch, ubatch));
    params.n_outputs_max = static_cast<uint32_t>(options.num_parallel);
    params.kv_unified = options.kv_unified;
    params.swa_full = true;  // any prefix can be taken over
    params.type_k = cache_type(options.kv_cache_type);
    params.type_v = params.type_k;
    params.flash_attn_type = flash_attention(model, options);
    params.no_perf = true;
    return params;
}

void Context::find_kind(const LoopOptions& options) {
    kind_.can_cut = try_to_cut();
    kind_.can_shift = kind_.can_cut && llama_memory_can_shift(memory_);
    kind_.is_split = !options.kv_unified && options.num_parallel > 1;
    kind_.stream_size = static_cast<int32_t>(llama_n_ctx_seq(handle_.get()));
    kind_.unit = static_cast<int32_t>(llama_n_ubatch(handle_.get()));
}

// Two tokens in, one out again: recurrent caches refuse. This is the warm-up too.
bool Context::try_to_cut() {
    begin_batch();
    add(0, 0, 0, false);
    add(0, 0, 1, true);
    if (decode(CallKind::kPrefill, ThreadChoice::kFixed) != Outcome::kDone) {
        throw Error(Code::kInvalidArgument,
                    "the model does not compute: " + Backend::take_errors());
    }
    const bool can_cut = llama_memory_seq_rm(memory_, 0, 1, -1);
    clear();
    return can_cut;
}

// The cache is left empty, and the abort callback is the caller's again.
void Context::find_threads() {
    const auto call_of = [this](int32_t tokens) {
        return [this, tokens] {
            clear();
            begin_batch();
            for (int32_t i = 0; i < tokens; ++i) add(0, 0, i, i == tokens - 1);
            process();
        };
    };
    threads_.find(handle_.get(), CallKind::kDecode, call_of(1));
    threads_.find(handle_.get(), CallKind::kPrefill, call_of(std::min(kTriedTokens, kind_.unit)));
    llama_set_abort_callback(handle_.get(), unwanted_, unwanted_data_);
    clear();
}

void Context::begin_batch() {
    llama_batch_ext_clear(batch_.get());
    batch_size_ = 0;
}

int32_t Context::add(int32_t stream, Token token, int32_t position, bool wants_logits) {
    const int32_t index = llama_batch_ext_add_token(batch_.get(), stream, token);
    assert(index >= 0);
    ++batch_size_;
    llama_batch_ext_set_pos(batch_.get(), index, &position);
    if (wants_logits) llama_batch_ext_set_output_logits(batch_.get(), index, true);
    return index;
}

int32_t Context::add_embedding(int32_t stream, const float* embedding, int32_t width,
                               int32_t position, bool wants_logits) {
    const int32_t index =
        llama_batch_ext_add_embd(batch_.get(), stream, {embedding, 1, static_cast<size_t>(width)});
    assert(index >= 0);
    ++batch_size_;
    llama_batch_ext_set_pos(batch_.get(), index, &position);
    if (wants_logits) llama_batch_ext_set_output_logits(batch_.get(), index, true);
    return index;
}

void Context::set_causal(bool is_causal) {
    llama_set_causal_attn(handle_.get(), is_causal);
}

Outcome Context::decode(CallKind kind, ThreadChoice threads) {
    const MutedLog muted(unwanted_, unwanted_data_);
    threads_.prepare(handle_.get(), kind, threads);
    const auto begin = std::chrono::steady_clock::now();
    const Outcome outcome = process();
    if (outcome == Outcome::kDone && threads != ThreadChoice::kFixed) {
        threads_.measured(kind, batch_size_, std::chrono::steady_clock::now() - begin);
    }
    return outcome;
}

// llama.cpp's functions let exceptions through; behind one, nothing is known of the cache.
Outcome Context::process() {
    try {
        return outcome_of(llama_process(handle_.get(), LLAMA_PROCESS_TYPE_DECODE, batch_.get()));
    } catch (const std::exception& error) {
        std::fprintf(stderr, "llamawire: llama_process threw: %s\n", error.what());
        return Outcome::kLost;
    }
}

void Context::wait() {
    llama_synchronize(handle_.get());
}

float* Context::logits(int32_t index) {
    return llama_get_logits_ith(handle_.get(), index);
}

void Context::cut(int32_t stream, int32_t size) {
    assert(size == 0 || kind_.can_cut);
    llama_memory_seq_rm(memory_, stream, size, -1);
}

void Context::copy(int32_t from, int32_t to) {
    llama_memory_seq_rm(memory_, to, -1, -1);
    llama_memory_seq_cp(memory_, from, to, -1, -1);
}

void Context::shift(int32_t stream, int32_t keep, int32_t discard) {
    assert(kind_.can_shift);
    llama_memory_seq_rm(memory_, stream, keep, keep + discard);
    llama_memory_seq_add(memory_, stream, keep + discard, -1, -discard);
}

void Context::clear() {
    llama_memory_clear(memory_, false);
}

}  // namespace llamawire
