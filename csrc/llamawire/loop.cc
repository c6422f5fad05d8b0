#include "loop.h"

#include <algorithm>
#include <cassert>
#include <cstdio>
#include <utility>

#include "error.h"

namespace llamawire {

namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

// An idle loop turns this often, for its beats.
constexpr milliseconds kIdleTurn{500};
// While no row flows, a prefill call may take this many budgets: only commands wait for it.
constexpr int kAloneBudgets = 4;

const char* reason_name(End end) {
    switch (end) {
        case End::kStop:
            return "stop";
        case End::kLength:
            return "length";
        case End::kContext:
            return "context";
        default:
            return "cancelled";
    }
}

void add_to(std::atomic<int64_t>& counter, int64_t value) {
    counter.store(counter.load(std::memory_order_relaxed) + value, std::memory_order_relaxed);
}

LoopOptions checked(const Model& model, const LoopOptions& options) {
    options.check();
    model.check_generates();
    return options;
}

}  // namespace

Loop::Loop(std::shared_ptr<const Model> model, const LoopOptions& options)
    : model_(std::move(model)),
      options_(checked(*model_, options)),
      queue_(static_cast<size_t>(options_.queue_max)),
      context_(*model_, options_, on_node, this),
      cache_(options_.num_parallel),
      sampling_(static_cast<size_t>(model_->info().vocab_size), model_->newlines(),
                model_->suppressed(), std::min(usable_cpus(), options_.num_parallel)),
      grammars_(*model_),
      rows_(options_.num_parallel),
      gaps_(&context_, &cache_, &rows_),
      prefill_(&context_, &cache_, &rows_) {
    const CacheKind& kind = context_.kind();
    info_.num_parallel = options_.num_parallel;
    info_.num_ctx = options_.num_ctx;
    info_.num_batch = options_.num_batch;
    info_.num_thread = context_.num_threads(CallKind::kDecode);
    info_.num_thread_prefill = context_.num_threads(CallKind::kPrefill);
    info_.kv_bytes = kind.bytes;
    info_.can_shift = kind.can_shift;
    info_.can_reuse_prefix = kind.can_cut;
    info_.flash_attention = kind.flash_attention;
    thread_ = std::thread([this] { run(); });
}

Loop::~Loop() {
    close();
}

void Loop::close() {
    queue_.close();
    std::call_once(joined_, [this] { thread_.join(); });
}

void Loop::submit(JobRequest request) {
    JobOptions& options = request.options;
    options.check_and_resolve(options_);
    check_prompt(request);
    model_->check_tokens(request.generated.data(), request.generated.size());
    if (request.prompt.empty()) throw Error(Code::kInvalidArgument, "the prompt has no tokens");
    if (request.prompt.size() >= static_cast<size_t>(options.num_ctx)) {
        throw Error(Code::kInvalidArgument, "the prompt has " +
                                                std::to_string(request.prompt.size()) +
                                                " tokens and leaves no room in a context of " +
                                                std::to_string(options.num_ctx));
    }
    model_->check_tokens(options.thinking.ending.data(), options.thinking.ending.size());
    if (!options.grammar.empty()) {
        request.constraint = grammars_.constraint(options);
        for (Token token : request.generated) request.constraint->accept(token);
    }
    queue_.submit(std::make_unique<JobRequest>(std::move(request)));
}

void Loop::check_prompt(const JobRequest& request) const {
    check_images(request.prompt, request.images, model_->info().embedding_input_size);
    for (const ImageSpan& span : request.images) {
        if (span.image->is_causal() || span.image->longest_chunk() <= options_.image_chunk_max) {
            continue;
        }
        throw Error(Code::kInvalidArgument,
                    "an image gives " + std::to_string(span.image->longest_chunk()) +
                        " embeddings at once, and at most " +
                        std::to_string(options_.image_chunk_max) + " can be computed");
    }
    for (const Token& id : request.prompt) {
        if (!is_placeholder(id)) model_->check_tokens(&id, 1);
    }
}

LoopStats Loop::stats() const {
    LoopStats stats;
    stats.steps = counters_.steps;
    stats.decoded_rows = counters_.decoded_rows;
    stats.ghost_rows = counters_.ghost_rows;
    stats.prefill_tokens = counters_.prefill_tokens;
    stats.cached_tokens = counters_.cached_tokens;
    stats.shifts = counters_.shifts;
    stats.lost_caches = counters_.lost_caches;
    stats.active = counters_.active;
    stats.queued = static_cast<int64_t>(queue_.waiting());
    stats.beats = counters_.beats;
    return stats;
}

// ---- the thread -------------------------------------------------------------

// Between two nodes of a CPU's graph: a call that takes long beats, one that hangs does not.
bool Loop::on_node(void* loop) {
    auto* const self = static_cast<Loop*>(loop);
    add_to(self->counters_.beats, 1);
    return self->queue_.is_call_unwanted();
}

void Loop::run() {
    bool open = true;
    while (open) {
        try {
            open = turn();
        } catch (...) {
            abandon_rows(current_failure());
        }
    }
    end_everything();
}

bool Loop::turn() {
    const bool open = queue_.take(is_idle() ? kIdleTurn : nanoseconds::zero(), &commands_);
    for (Command& command : commands_) handle(std::move(command));
    if (!open) return false;
    admit();
    decode_rows();
    prefill_prompts();
    queue_.publish(&events_);
    add_to(counters_.beats, 1);
    return true;
}

// Nothing to compute until a command comes.
bool Loop::is_idle() const {
    return rows_.stand_still() && (line_.empty() || !rows_.has_free());
}

// The loop's own memory ran out in the middle of a turn: no row can be trusted, the loop goes on.
void Loop::abandon_rows(const Failure& failure) {
    std::fprintf(stderr, "llamawire: a turn of the loop failed: %s\n", failure.message.c_str());
    for (int32_t stream = 0; stream < rows_.size(); ++stream) {
        if (rows_.at(stream) != nullptr) fail(stream, Code::kInternal, failure.message);
    }
    context_.clear();
    cache_.clear();
    queue_.publish(&events_);
}

void Loop::end_everything() {
    for (int32_t stream = 0; stream < rows_.size(); ++stream) {
        if (rows_.at(stream) != nullptr) finish(stream, End::kCancelled);
    }
    while (!line_.empty()) cancel_job(line_.front_id());
    queue_.publish(&events_);
}

// ---- commands ---------------------------------------------------------------

void Loop::handle(Command command) {
    switch (command.kind) {
        case Command::Kind::kSubmit:
            line_.add(std::move(command.request), Clock::now());
            break;
        case Command::Kind::kCancel:
            cancel_job(command.job_id);
            break;
        case Command::Kind::kPause:
            set_paused(command.job_id, true);
            break;
        case Command::Kind::kResume:
            set_paused(command.job_id, false);
            break;
    }
}

void Loop::cancel_job(uint64_t job_id) {
    const int32_t stream = rows_.find(job_id);
    if (stream >= 0) {
        finish(stream, End::kCancelled);
        return;
    }
    const Line::Waiting* const job = line_.find(job_id);
    if (job == nullptr) return;  // it ended before the cancel came
    Event event;
    event.job_id = job_id;
    event.kind = Event::Kind::kFinished;
    event.reason = reason_name(End::kCancelled);
    event.prompt_count = static_cast<int64_t>(job->request->prompt.size());
    event.generated_count = static_cast<int64_t>(job->request->generated.size());
    events_.push_back(std::move(event));
    line_.remove(job_id);
    queue_.leave_waiting();
}

void Loop::set_paused(uint64_t job_id, bool paused) {
    const int32_t stream = rows_.find(job_id);
    if (stream >= 0) {
        rows_.at(stream)->paused = paused;
        return;
    }
    Line::Waiting* const job = line_.find(job_id);
    if (job != nullptr) job->paused = paused;
}

// ---- admission --------------------------------------------------------------

void Loop::admit() {
    while (!line_.empty() && rows_.has_free()) {
        Line::Waiting waiting = line_.take(Clock::now());
        queue_.leave_waiting();
        const uint64_t job_id = waiting.request->job_id;
        const std::string user = waiting.request->options.user;
        try {
            start(std::move(waiting));
        } catch (...) {
            if (rows_.find(job_id) >= 0) throw;
            line_.ended(user);
            refuse(job_id, current_failure());
        }
    }
}

void Loop::start(Line::Waiting waiting) {
    const JobOptions& options = waiting.request->options;
    const int32_t unit = std::min(options.num_batch, context_.kind().unit);
    auto fresh = std::make_unique<Row>(Sequence(
        std::move(*waiting.request), *model_, context_.kind().can_shift, model_->info().adds_bos));
    fresh->unit = unit;
    fresh->paused = waiting.paused;
    fresh->age = ++age_;
    const int32_t stream = prefill_.place(fresh.get());
    rows_.slot(stream) = std::move(fresh);
    add_to(counters_.active, 1);
    // A job that was taken up again may have been over by then.
    const End end = rows_.at(stream)->sequence.end();
    if (end == End::kNone) return;
    begin(stream);
    finish(stream, end);
}

// The row's first event, and the text that a job which was taken up again has to deliver.
void Loop::begin(int32_t stream) {
    Row& row = *rows_.at(stream);
    row.has_begun = true;
    row.prefill_begin = Clock::now();
    add_to(counters_.cached_tokens, row.cached);
    Event event;
    event.job_id = row.sequence.job_id();
    event.kind = Event::Kind::kStarted;
    event.cached = row.cached;
    events_.push_back(std::move(event));
    emit_text(stream, Event());
}

// ---- decode -----------------------------------------------------------------

// One call for all rows that share one, and one for each that is isolated.
void Loop::decode_rows() {
    rows_.list_decoding(&isolated_streams_, true);
    rows_.list_decoding(&call_streams_);
    if (!call_streams_.empty()) decode_call();
    for (int32_t stream : isolated_streams_) {
        // A call before this one may have failed, and taken the row with it.
        if (rows_.at(stream) == nullptr || !rows_.at(stream)->decodes()) continue;
        call_streams_.assign(1, stream);
        decode_call();
    }
}

void Loop::decode_call() {
    for (int32_t stream : call_streams_) make_room(stream);
    gaps_.close(&call_streams_);

    context_.begin_batch();
    outputs_.clear();
    for (int32_t stream : call_streams_) {
        gaps_.add_below(stream);
        const Token newest = rows_.at(stream)->sequence.context().back();
        outputs_.push_back({stream, context_.add(stream, newest, cache_.size(stream), true)});
    }
    const Outcome outcome = call(CallKind::kDecode);
    gaps_.take_out();
    if (outcome != Outcome::kDone) {
        handle_failure(outcome);
        return;
    }
    add_to(counters_.steps, 1);
    add_to(counters_.decoded_rows, static_cast<int64_t>(call_streams_.size()));
    add_to(counters_.ghost_rows, static_cast<int64_t>(gaps_.num_ghosts()));
    for (int32_t stream : call_streams_) {
        const Sequence& sequence = rows_.at(stream)->sequence;
        cache_.decoded(stream, sequence.context().back());
        line_.served(sequence.options().user, 1);
    }
    sample_outputs();
}

void Loop::make_room(int32_t stream) {
    const std::optional<Shift> shift = rows_.at(stream)->sequence.make_room();
    if (!shift.has_value()) return;
    context_.shift(stream, shift->keep, shift->discard);
    cache_.shifted(stream, shift->keep, shift->discard);
    add_to(counters_.shifts, 1);
}

// ---- prefill ----------------------------------------------------------------

// At least one chunk a turn, or prompts would starve behind rows that use up all time. Prompts that
// come together are all computed before the first of them flows: each step then has all their rows.
void Loop::prefill_prompts() {
    const milliseconds budget(options_.prefill_budget_ms);
    const auto deadline = Clock::now() + budget;
    for (bool is_first = true;; is_first = false) {
        const bool rows_flow = rows_.has_flowing();
        if (!rows_flow && !is_first) return;
        const nanoseconds left = rows_flow ? deadline - Clock::now() : budget * kAloneBudgets;
        prefill_.next(left, rows_flow, !is_first, &chunks_);
        if (chunks_.empty() || !prefill_call()) return;
    }
}

// Computes `chunks_`. False: the call failed or was aborted; what to do about it is the next turn's.
bool Loop::prefill_call() {
    context_.begin_batch();
    outputs_.clear();
    call_streams_.clear();
    for (const Chunk& chunk : chunks_) {
        const Row& row = *rows_.at(chunk.stream);
        if (!row.has_begun) begin(chunk.stream);
        const int32_t last = add_entries(chunk);
        const auto size = static_cast<int32_t>(row.sequence.context().size());
        if (chunk.end == size) outputs_.push_back({chunk.stream, last});
        call_streams_.push_back(chunk.stream);
    }
    const Image* const image = image_at(chunks_.front());
    const bool is_causal = image == nullptr || image->is_causal();
    const auto start = Clock::now();
    if (!is_causal) context_.set_causal(false);
    const Outcome outcome = call(CallKind::kPrefill);
    if (!is_causal) context_.set_causal(true);
    if (outcome != Outcome::kDone) {
        handle_failure(outcome);
        return false;
    }
    context_.wait();
    prefill_.computed(chunks_, Clock::now() - start);
    for (const Chunk& chunk : chunks_) keep(chunk);
    for (const Output& output : outputs_) rows_.at(output.stream)->generates = true;
    sample_outputs();
    return true;
}

// A chunk stands in llama.cpp's cache: writes it down in ours.
void Loop::keep(const Chunk& chunk) {
    const Row& row = *rows_.at(chunk.stream);
    const Sequence& sequence = row.sequence;
    if (sequence.options().isolated && chunk.begin >= sequence.prompt_size()) {
        cache_.decoded(chunk.stream, sequence.context()[chunk.begin]);
    } else {
        cache_.prefilled(chunk.stream, sequence.context(), chunk.end, row.unit);
    }
    line_.served(sequence.options().user, chunk.size());
    add_to(counters_.prefill_tokens, chunk.size());
}

// The image that a chunk is part of; null: it is of tokens.
const Image* Loop::image_at(const Chunk& chunk) const {
    const Sequence& sequence = rows_.at(chunk.stream)->sequence;
    if (!is_placeholder(sequence.context()[chunk.begin])) return nullptr;
    return sequence.image_at(chunk.begin).image.get();
}

// Puts a chunk into the batch; the index of its last entry.
int32_t Loop::add_entries(const Chunk& chunk) {
    const Sequence& sequence = rows_.at(chunk.stream)->sequence;
    const std::vector<Token>& context = sequence.context();
    const Image* const image = image_at(chunk);
    const int32_t offset = image == nullptr ? 0 : sequence.image_at(chunk.begin).begin;
    const auto size = static_cast<int32_t>(context.size());
    int32_t last = 0;
    for (int32_t i = chunk.begin; i < chunk.end; ++i) {
        const bool wants_logits = i == size - 1;
        last = image == nullptr ? context_.add(chunk.stream, context[i], i, wants_logits)
                                : context_.add_embedding(chunk.stream, image->embedding(i - offset),
                                                         image->width(), i, wants_logits);
    }
    return last;
}

// ---- a call and what comes of it --------------------------------------------

Outcome Loop::call(CallKind kind) {
    call_jobs_.clear();
    for (int32_t stream : call_streams_) call_jobs_.push_back(rows_.at(stream)->sequence.job_id());
    queue_.begin_call(call_jobs_);
    if (options_.decode_fault) {
        const int32_t answer = options_.decode_fault(call_streams_.size());
        if (answer != 0) return outcome_of(answer);
    }
    return context_.decode(kind, thread_choice(kind));
}

// llama.cpp's flash attention shares one token's context out among the threads and adds up what they
// found, so there the text depends on their number.
ThreadChoice Loop::thread_choice(CallKind kind) const {
    const Row& first = *rows_.at(call_streams_[0]);
    const bool is_exact = context_.batch_size() == 1 && first.sequence.options().reproducible;
    if (is_exact && info_.flash_attention) return ThreadChoice::kFixed;
    const bool others_wait = kind == CallKind::kPrefill && rows_.has_decoding();
    return others_wait ? ThreadChoice::kFound : ThreadChoice::kProbe;
}

void Loop::handle_failure(Outcome outcome) {
    switch (outcome) {
        case Outcome::kDone:
            break;
        case Outcome::kAborted:  // all of them are cancelled: their commands are on the way
            for (int32_t stream : call_streams_) restore(stream);
            break;
        case Outcome::kNoRoom:
            fail(rows_.newest(call_streams_), Code::kResourceExhausted,
                 "the KV cache has no room for the row");
            break;
        case Outcome::kInvalid:
            for (int32_t stream : call_streams_) {
                fail(stream, Code::kInternal,
                     "llama.cpp refused the batch: " + Backend::take_errors());
            }
            break;
        case Outcome::kLost:
            recompute_all();
            break;
    }
}

// Takes what an aborted call left behind out of the cache.
void Loop::restore(int32_t stream) {
    if (!context_.kind().can_cut) {
        cache_.cut(stream, 0);
        rows_.at(stream)->generates = false;
    }
    context_.cut(stream, cache_.size(stream));
}

void Loop::recompute_all() {
    std::fprintf(stderr, "llamawire: the KV cache was lost; all rows are computed again\n");
    add_to(counters_.lost_caches, 1);
    context_.clear();
    cache_.clear();
    for (int32_t stream = 0; stream < rows_.size(); ++stream) {
        Row* const row = rows_.at(stream);
        if (row == nullptr) continue;
        row->generates = false;
        if (++row->tries > kTriesMax) {
            fail(stream, Code::kInternal, "llama.cpp failed to compute: " + Backend::take_errors());
        }
    }
}

void Loop::sample_outputs() {
    draws_.clear();
    for (const Output& output : outputs_) {
        add_to(counters_.beats, 1);
        draws_.emplace_back();
        draws_.back().sequence = &rows_.at(output.stream)->sequence;
        draws_.back().logits = context_.logits(output.index);
    }
    sampling_.sample(&draws_);
    for (size_t i = 0; i < draws_.size(); ++i) {
        Draw& draw = draws_[i];
        if (draw.failure.has_value()) {
            fail(outputs_[i].stream, draw.failure->code(), draw.failure->what());
        } else {
            accept(outputs_[i].stream, &draw);
        }
    }
}

void Loop::accept(int32_t stream, Draw* draw) {
    Row& row = *rows_.at(stream);
    row.last_token = Clock::now();
    Event event;
    event.is_first = row.sampled++ == 0;
    if (event.is_first) row.first_token = row.last_token;
    const End end = row.sequence.accept(draw->token);
    event.token = draw->token;
    event.logprobs = std::move(draw->logprobs);
    emit_text(stream, std::move(event));
    if (end != End::kNone) finish(stream, end);
}

// ---- events -----------------------------------------------------------------

// With the text that became certain.
void Loop::emit_text(int32_t stream, Event event) {
    event.text = rows_.at(stream)->sequence.take_text();
    if (event.token < 0 && event.text.empty()) return;
    event.job_id = rows_.at(stream)->sequence.job_id();
    events_.push_back(std::move(event));
}

void Loop::finish(int32_t stream, End end) {
    Event event;
    event.kind = Event::Kind::kFinished;
    event.reason = reason_name(end);
    leave(stream, std::move(event));
}

void Loop::fail(int32_t stream, Code code, const std::string& message) {
    Event event;
    event.kind = Event::Kind::kFailed;
    event.code = code_name(code);
    event.message = message;
    leave(stream, std::move(event));
}

// A job that never had a stream.
void Loop::refuse(uint64_t job_id, const Failure& failure) {
    Event event;
    event.job_id = job_id;
    event.kind = Event::Kind::kFailed;
    event.code = failure.code;
    event.message = failure.message;
    events_.push_back(std::move(event));
}

// The row's last event; its stream is free, and keeps what it holds for the next.
void Loop::leave(int32_t stream, Event event) {
    const Row& row = *rows_.at(stream);
    event.job_id = row.sequence.job_id();
    event.cached = row.cached;
    event.prompt_count = row.sequence.prompt_count();
    event.generated_count = row.sequence.generated_count();
    event.shift_count = row.sequence.shift_count();
    if (row.sampled > 0) {
        event.prompt_ns = nanoseconds(row.first_token - row.prefill_begin).count();
        event.generate_ns = nanoseconds(row.last_token - row.first_token).count();
    }
    events_.push_back(std::move(event));
    line_.ended(row.sequence.options().user);
    cache_.free(stream);
    rows_.slot(stream).reset();
    add_to(counters_.active, -1);
}

}  // namespace llamawire
