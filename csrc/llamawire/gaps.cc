#include "gaps.h"

#include <utility>

namespace llamawire {

namespace {

size_t num_gaps(const std::vector<int32_t>& streams) {
    const int32_t width = streams.back() - streams.front() + 1;
    return static_cast<size_t>(width) - streams.size();
}

}  // namespace

void Gaps::close(std::vector<int32_t>* streams) {
    ghosts_.clear();
    added_ = 0;
    const CacheKind& kind = context_.kind();
    if (!kind.is_split || !kind.can_cut || streams->size() < 2) return;
    if (num_gaps(*streams) > streams->size()) move_topmost(streams);
    // A second ubatch is cheaper than so many ghosts.
    if (num_gaps(*streams) > streams->size()) return;
    auto next = streams->begin();
    for (int32_t stream = streams->front(); stream < streams->back(); ++stream) {
        if (*next == stream) {
            ++next;
        } else if (cache_.size(stream) < kind.stream_size) {
            ghosts_.push_back(stream);
        }
    }
}

void Gaps::move_topmost(std::vector<int32_t>* streams) {
    const int32_t from = streams->back();
    for (int32_t to = streams->front() + 1; to < from; ++to) {
        if (rows_.at(to) != nullptr) continue;
        context_.copy(from, to);
        cache_.moved(from, to);
        std::swap(rows_.slot(from), rows_.slot(to));
        rows_.list_decoding(streams);
        return;
    }
}

void Gaps::add_below(int32_t stream) {
    for (; added_ < ghosts_.size() && ghosts_[added_] < stream; ++added_) {
        context_.add(ghosts_[added_], 0, cache_.size(ghosts_[added_]), false);
    }
}

void Gaps::take_out() {
    for (int32_t stream : ghosts_) context_.cut(stream, cache_.size(stream));
}

}  // namespace llamawire
