#include "rows.h"

#include <algorithm>

namespace llamawire {

int32_t Rows::find(uint64_t job_id) const {
    for (int32_t stream = 0; stream < size(); ++stream) {
        if (at(stream) != nullptr && at(stream)->sequence.job_id() == job_id) return stream;
    }
    return -1;
}

bool Rows::has_free() const {
    return std::any_of(rows_.begin(), rows_.end(), [](const auto& row) { return row == nullptr; });
}

bool Rows::has_decoding() const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [](const auto& row) { return row != nullptr && row->decodes(); });
}

bool Rows::has_flowing() const {
    return std::any_of(rows_.begin(), rows_.end(),
                       [](const auto& row) { return row != nullptr && row->flows(); });
}

bool Rows::stand_still() const {
    return std::all_of(rows_.begin(), rows_.end(),
                       [](const auto& row) { return row == nullptr || row->paused; });
}

void Rows::list_decoding(std::vector<int32_t>* streams, bool isolated) const {
    streams->clear();
    for (int32_t stream = 0; stream < size(); ++stream) {
        const Row* const row = at(stream);
        if (row == nullptr || !row->decodes()) continue;
        if (row->sequence.options().isolated == isolated) streams->push_back(stream);
    }
}

int32_t Rows::newest(const std::vector<int32_t>& streams) const {
    return *std::max_element(streams.begin(), streams.end(),
                             [this](int32_t a, int32_t b) { return at(a)->age < at(b)->age; });
}

}  // namespace llamawire
