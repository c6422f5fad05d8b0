#include "prefix_cache.h"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "image_span.h"

namespace llamawire {

namespace {

int32_t round_down(int32_t value, int32_t unit) {
    return value - value % unit;
}

}  // namespace

int32_t common_prefix(const std::vector<Token>& a, const std::vector<Token>& b) {
    const auto end = a.begin() + static_cast<ptrdiff_t>(std::min(a.size(), b.size()));
    return static_cast<int32_t>(std::mismatch(a.begin(), end, b.begin()).first - a.begin());
}

int32_t chunk_end(int32_t begin, int32_t size, int32_t unit, int32_t tokens_max) {
    const int32_t next = round_down(begin, unit) + unit;
    const int64_t far = std::min<int64_t>(int64_t{begin} + tokens_max, size);
    if (far >= size) return size;
    return std::min(std::max(round_down(static_cast<int32_t>(far), unit), next), size);
}

// The last token is always computed again, because its logits are wanted.
int32_t PrefixCache::reusable(const Stream& stream, const PlacementRequest& request) const {
    if (!request.reuse) return 0;
    const int32_t most = static_cast<int32_t>(request.context.size()) - 1;
    const int32_t common = std::min(common_prefix(stream.tokens, request.context), most);
    if (!request.reproducible) return chunk_begin(request.context, common);
    if (stream.unit != request.unit) return 0;
    const int32_t cut = cut_point(request.context, std::min(common, stream.exact), request.unit);
    // An image may part the one where the other goes on with tokens.
    return cut < stream.exact ? cut_point(stream.tokens, cut, request.unit) : cut;
}

std::vector<int32_t> PrefixCache::eligible(bool dense) const {
    int32_t low = 0;
    int32_t high = num_streams() - 1;
    const auto busy = [](const Stream& stream) { return stream.busy; };
    const auto first = std::find_if(streams_.begin(), streams_.end(), busy);
    if (dense && first != streams_.end()) {
        const auto last = std::find_if(streams_.rbegin(), streams_.rend(), busy);
        low = std::max(static_cast<int32_t>(first - streams_.begin()) - 1, low);
        high = std::min(static_cast<int32_t>(streams_.rend() - last), high);
    }
    std::vector<int32_t> ids;
    for (int32_t id = low; id <= high; ++id) {
        if (!stream(id).busy) ids.push_back(id);
    }
    // The least recently used first: what it holds is worth least.
    std::sort(ids.begin(), ids.end(), [this](int32_t a, int32_t b) {
        return std::pair(stream(a).last_used, a) < std::pair(stream(b).last_used, b);
    });
    return ids;
}

Placement PrefixCache::place(const PlacementRequest& request) const {
    std::vector<int32_t> reuse;
    reuse.reserve(streams_.size());
    for (const Stream& stream : streams_) reuse.push_back(reusable(stream, request));
    const auto richest =
        static_cast<int32_t>(std::max_element(reuse.begin(), reuse.end()) - reuse.begin());
    const std::vector<int32_t> ids = eligible(request.dense);

    Placement best;
    double best_gain = -std::numeric_limits<double>::infinity();
    for (size_t rank = 0; rank < ids.size(); ++rank) {
        const int32_t id = ids[rank];
        const double freshness = static_cast<double>(rank + 1) / static_cast<double>(ids.size());
        const auto consider = [&](int32_t source, int32_t reused, int32_t kept, int32_t cost) {
            const double gain = reused - cost - (size(id) - kept) * freshness;
            if (gain > best_gain) {
                best_gain = gain;
                best = {id, source, reused};
            }
        };
        consider(-1, reuse[id], reuse[id], 0);
        if (request.may_copy && richest != id)
            consider(richest, reuse[richest], 0, request.copy_cost);
    }
    if (best.reused == 0) best.source = -1;
    return best;
}

Placement PrefixCache::richest(const PlacementRequest& request) const {
    Placement best;
    for (int32_t id = 0; id < num_streams(); ++id) {
        const int32_t reused = reusable(stream(id), request);
        if (best.source < 0 || reused > best.reused) best = {-1, id, reused};
    }
    return best;
}

void PrefixCache::occupy(const Placement& placement) {
    Stream& stream = at(placement.stream);
    assert(!stream.busy);
    if (placement.source >= 0) {
        fork(placement.source, placement.stream, placement.reused);
    } else {
        cut(placement.stream, placement.reused);
    }
    stream.busy = true;
}

void PrefixCache::fork(int32_t source, int32_t id, int32_t size) {
    Stream& to = at(id);
    const Stream& from = stream(source);
    to.tokens = from.tokens;
    to.unit = from.unit;
    to.exact = from.exact;
    cut(id, size);
}

void PrefixCache::free(int32_t stream) {
    at(stream).busy = false;
    at(stream).last_used = ++clock_;
}

void PrefixCache::prefilled(int32_t id, const std::vector<Token>& context, int32_t end,
                            int32_t unit) {
    Stream& stream = at(id);
    const auto begin = static_cast<int32_t>(stream.tokens.size());
    if (begin == 0) stream.unit = unit;
    const auto is_regular = [&](int32_t at) {
        return at % unit == 0 || cut_point(context, at, unit) == at;
    };
    // What was taken over may end where another context is parted and this one is not.
    if (begin == stream.regular && unit == stream.unit && is_regular(begin) &&
        (is_regular(end) || end == static_cast<int32_t>(context.size()))) {
        stream.regular = end;
        stream.exact = cut_point(context, end, unit);
    }
    stream.tokens.insert(stream.tokens.end(), context.begin() + begin, context.begin() + end);
}

void PrefixCache::decoded(int32_t stream, Token token) {
    at(stream).tokens.push_back(token);
}

void PrefixCache::cut(int32_t id, int32_t size) {
    Stream& stream = at(id);
    if (size < stream.exact) stream.exact = cut_point(stream.tokens, size, stream.unit);
    stream.regular = stream.exact;
    stream.tokens.resize(static_cast<size_t>(size));
}

void PrefixCache::shifted(int32_t id, int32_t keep, int32_t discard) {
    Stream& stream = at(id);
    if (keep < stream.exact) stream.exact = cut_point(stream.tokens, keep, stream.unit);
    stream.regular = stream.exact;
    const auto first = stream.tokens.begin() + keep;
    stream.tokens.erase(first, first + discard);
}

void PrefixCache::moved(int32_t from, int32_t to) {
    at(to) = at(from);
    free(from);
}

void PrefixCache::clear() {
    for (int32_t id = 0; id < num_streams(); ++id) cut(id, 0);
}

}  // namespace llamawire
