#include "prefill.h"

#include <algorithm>

namespace llamawire {

namespace {

using std::chrono::nanoseconds;

// A unit is cut into so many pieces where all of it would take too long.
constexpr int32_t kPiecesOfUnit = 4;
// A call of several prompts may take so many times as long as one prompt's, while no row decodes.
constexpr int kTogether = 2;
// Of a stream's copy, read and written: a desktop's memory, a GPU's.
constexpr double kCopyBytesPerNsCpu = 4.0;
constexpr double kCopyBytesPerNsGpu = 200.0;

int32_t piece_of(int32_t unit) {
    return std::max(unit / kPiecesOfUnit, 1);
}

}  // namespace

int32_t Prefill::place(Row* row) {
    PlacementRequest wanted = request(*row);
    find_leader(row, 0);
    Placement placement = cache_.place(wanted);
    // Better to wait for the leader than to copy less now.
    if (row->leader >= 0 && row->shared - placement.reused > wanted.copy_cost) {
        wanted.may_copy = false;
        placement = cache_.place(wanted);
    } else {
        row->leader = -1;
    }
    if (placement.source >= 0) context_.copy(placement.source, placement.stream);
    context_.cut(placement.stream, placement.reused);
    cache_.occupy(placement);
    row->cached = placement.reused;
    return placement.stream;
}

PlacementRequest Prefill::request(const Row& row) const {
    const JobOptions& options = row.sequence.options();
    const CacheKind& kind = context_.kind();
    return {row.sequence.context(), row.unit,      options.cache_prompt && kind.can_cut,
            options.reproducible,   kind.is_split, copy_cost()};
}

// Of a stream, in tokens of prefill. Where all streams share one pool of cells nothing is copied.
int32_t Prefill::copy_cost() const {
    const CacheKind& kind = context_.kind();
    if (!kind.is_split) return 1;
    if (!speed_.is_measured()) return kind.unit;
    const double speed = Backend::has_gpu() ? kCopyBytesPerNsGpu : kCopyBytesPerNsCpu;
    const double bytes = static_cast<double>(kind.bytes) / rows_.size();
    return speed_.tokens_within(0, bytes / speed) + 1;
}

// ---- a common beginning -----------------------------------------------------

// Only rows that came before lead, so nobody waits in a circle.
void Prefill::find_leader(Row* row, int32_t held) {
    row->leader = -1;
    const PlacementRequest wanted = request(*row);
    if (!wanted.reuse) return;
    row->shared = held + wanted.copy_cost;
    for (int32_t stream = 0; stream < rows_.size(); ++stream) {
        const Row* const other = rows_.at(stream);
        if (other == nullptr || !other->prefills() || other->age >= row->age) continue;
        const int32_t common = shared(*other, *row);
        if (common <= row->shared) continue;
        row->leader = stream;
        row->leader_age = other->age;
        row->shared = common;
    }
}

// How much of the row's context stands in the leader's too, as far as the row may take it over.
int32_t Prefill::shared(const Row& leader, const Row& row) const {
    const std::vector<Token>& context = row.sequence.context();
    const int32_t common = std::min(common_prefix(leader.sequence.context(), context),
                                    static_cast<int32_t>(context.size()) - 1);
    if (!row.sequence.options().reproducible) return chunk_begin(context, common);
    // What others compute may be cut finer than in units.
    if (!leader.sequence.options().reproducible || leader.unit != row.unit) return 0;
    // Parted in both, as PrefixCache has it, or the row would wait for what it may not take over.
    const int32_t cut = cut_point(context, common, row.unit);
    return cut_point(leader.sequence.context(), cut, row.unit);
}

bool Prefill::has_leader(const Row& row) const {
    if (row.leader < 0) return false;
    const Row* const leader = rows_.at(row.leader);
    return leader != nullptr && leader->age == row.leader_age && leader->prefills() &&
           cache_.size(row.leader) < row.shared;
}

// The leader has come as far as it leads, or is gone: takes the most there is, in whatever stream.
void Prefill::settle(int32_t stream) {
    Row& row = *rows_.at(stream);
    const PlacementRequest wanted = request(row);
    const Placement fork = cache_.richest(wanted);
    if (fork.source != stream && fork.reused - cache_.size(stream) > wanted.copy_cost) {
        context_.copy(fork.source, stream);
        context_.cut(stream, fork.reused);
        cache_.fork(fork.source, stream, fork.reused);
        row.cached = fork.reused;
    }
    find_leader(&row, cache_.size(stream));
}

// ---- chunks -----------------------------------------------------------------

void Prefill::next(nanoseconds left, bool rows_decode, bool must_fit, std::vector<Chunk>* chunks) {
    chunks->clear();
    list_candidates();
    const int32_t stream = order_.next(candidates_);
    if (stream < 0) return;
    const Chunk wanted = chunk(stream, left, rows_decode);
    const double behind = static_cast<double>(left.count()) - speed_.ns(wanted.begin, wanted.end);
    if (must_fit && behind < 0.0) return;
    chunks->push_back(wanted);
    // While nobody waits for a token, all who come together had better be computed together.
    const double more = rows_decode ? 0.0 : (kTogether - 1) * static_cast<double>(left.count());
    if (shares_call(wanted)) add_short(behind + more, chunks);
}

// All of a prompt that is left, and less than a unit. An image's rows are cut elsewhere than at units.
bool Prefill::shares_call(const Chunk& chunk) const {
    const Row& row = *rows_.at(chunk.stream);
    return chunk.size() < row.unit && chunk.end == prompt_end(row) &&
           row.sequence.images().empty() && !row.sequence.options().isolated;
}

// Adds what else is short, in order, as far as there is time. The chunks' streams rise then.
void Prefill::add_short(double ns_left, std::vector<Chunk>* chunks) {
    const int32_t first = chunks->front().stream;
    int32_t tokens_left = rows_.at(first)->sequence.options().num_batch - chunks->front().size();
    std::sort(candidates_.begin(), candidates_.end(), PromptOrder::is_shorter);
    for (const PromptCandidate& candidate : candidates_) {
        if (candidate.stream == first) continue;
        const Row& row = *rows_.at(candidate.stream);
        const Chunk rest{candidate.stream, cache_.size(candidate.stream), prompt_end(row)};
        if (!shares_call(rest) || rest.size() > tokens_left) continue;
        const double ns = speed_.ns(rest.begin, rest.end);
        if (ns > ns_left) break;
        ns_left -= ns;
        tokens_left -= rest.size();
        chunks->push_back(rest);
    }
    std::sort(chunks->begin(), chunks->end(),
              [](const Chunk& a, const Chunk& b) { return a.stream < b.stream; });
}

void Prefill::list_candidates() {
    candidates_.clear();
    for (int32_t stream = 0; stream < rows_.size(); ++stream) {
        Row* const row = rows_.at(stream);
        if (row == nullptr || !row->prefills()) continue;
        if (row->leader >= 0 && !has_leader(*row)) settle(stream);
        if (row->leader >= 0) continue;
        candidates_.push_back({stream, row->age, remaining(*row, cache_.size(stream)),
                               row->sequence.options().priority});
    }
    // A leader counts as short, and as urgent, as any of those that wait for it.
    for (PromptCandidate& candidate : candidates_) {
        for (int32_t stream = 0; stream < rows_.size(); ++stream) {
            const Row* const row = rows_.at(stream);
            if (row == nullptr || row->leader != candidate.stream || !row->prefills()) continue;
            candidate.remaining =
                std::min(candidate.remaining, remaining(*row, cache_.size(candidate.stream)));
            candidate.priority = std::max(candidate.priority, row->sequence.options().priority);
        }
    }
}

double Prefill::remaining(const Row& row, int32_t begin) const {
    const auto size = static_cast<int32_t>(row.sequence.context().size());
    return speed_.is_measured() ? speed_.ns(begin, size) : size - begin;
}

Chunk Prefill::chunk(int32_t stream, nanoseconds left, bool rows_decode) const {
    const Row& row = *rows_.at(stream);
    const JobOptions& options = row.sequence.options();
    const int32_t begin = cache_.size(stream);
    const int32_t fitting = speed_.tokens_within(begin, static_cast<double>(left.count()));
    const bool is_cut_fine = rows_decode && fitting < row.unit && !options.reproducible;
    const int32_t piece = is_cut_fine ? piece_of(row.unit) : row.unit;
    const int32_t wanted = std::clamp(fitting, piece, std::max(options.num_batch, piece));
    const std::vector<Token>& context = row.sequence.context();
    if (options.isolated && begin >= row.sequence.prompt_size()) return {stream, begin, begin + 1};
    const int32_t end = std::min(run_end(context, begin), prompt_end(row));
    if (is_placeholder(context[begin]) && !row.sequence.image_at(begin).image->is_causal()) {
        return {stream, begin, end};
    }
    // Up to the unit's end as a cold run does it, or what is computed here would pass for exact.
    const bool is_behind_image = !row.sequence.images().empty() && begin % row.unit != 0;
    return {stream, begin, chunk_end(begin, end, piece, is_behind_image ? 0 : wanted)};
}

// What an isolated row has generated was computed token by token, and is so again.
int32_t Prefill::prompt_end(const Row& row) {
    const Sequence& sequence = row.sequence;
    return sequence.options().isolated ? sequence.prompt_size()
                                       : static_cast<int32_t>(sequence.context().size());
}

// Small pieces say little about the speed of large ones.
void Prefill::computed(const std::vector<Chunk>& chunks, nanoseconds time) {
    int32_t tokens = 0;
    for (const Chunk& chunk : chunks) tokens += chunk.size();
    if (tokens < piece_of(context_.kind().unit)) return;
    const double each = static_cast<double>(time.count()) / tokens;
    for (const Chunk& chunk : chunks) {
        speed_.measured(chunk.begin, chunk.end, each * chunk.size());
    }
}

}  // namespace llamawire
