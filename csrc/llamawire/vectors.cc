#include "vectors.h"

#include <algorithm>
#include <cmath>

namespace llamawire {

std::vector<size_t> pack(const std::vector<int32_t>& lengths, int32_t tokens_max,
                         int32_t sequences_max) {
    std::vector<size_t> bounds{0};
    int64_t tokens = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
        const size_t count = i - bounds.back();
        const bool is_full = tokens + lengths[i] > tokens_max ||
                             count == static_cast<size_t>(std::max(sequences_max, 1));
        if (count > 0 && is_full) {
            bounds.push_back(i);
            tokens = 0;
        }
        tokens += lengths[i];
    }
    if (!lengths.empty()) bounds.push_back(lengths.size());
    return bounds;
}

void normalize(float* vector, size_t size) {
    constexpr float kLengthMin = 1e-12F;
    float sum = 0.0F;
    for (size_t i = 0; i < size; ++i) sum += vector[i] * vector[i];
    const float length = std::max(std::sqrt(sum), kLengthMin);
    for (size_t i = 0; i < size; ++i) vector[i] /= length;
}

}  // namespace llamawire
