#include "matmul.h"

#include <ggml.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>
#include <utility>

namespace llamawire {

namespace {

thread_local Matmul* active = nullptr;

int64_t ceil_div(int64_t value, int64_t divisor) {
    return (value + divisor - 1) / divisor;
}

}  // namespace

Matmul::Scope::Scope(Matmul* matmul) {
    active = matmul;
}

Matmul::Scope::~Scope() {
    active = nullptr;
}

#if defined(__AVX512F__) || (defined(__AVX2__) && defined(__FMA__))

namespace {

#ifdef __AVX512F__
constexpr int64_t kLanes = 16;
constexpr int64_t kTileRows = 12;
#else
constexpr int64_t kLanes = 8;
constexpr int64_t kTileRows = 6;
#endif
// Tokens that are multiplied by a weight at once. With kTileRows weights that is all the registers.
constexpr int64_t kPanel = 2 * kLanes;
// A panel of so much depth leaves room in the first cache for the weights that pass by.
constexpr int64_t kDepth = 384;
// Rows of weights that stay in the second cache while the panels pass by.
constexpr int64_t kBlockRows = 96;

typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float))));

Lanes load(const float* from) {
    Lanes lanes;
    std::memcpy(&lanes, from, sizeof(lanes));
    return lanes;
}

// Rows of weights times one panel. The sums are added to the result, or written there.
template <int64_t kRows>
void multiply_tile(const float* weights, int64_t stride, const float* panel, int64_t depth,
                   bool adds, float* result, int64_t result_stride, int64_t columns) {
    Lanes sums[kRows][2] = {};
    for (int64_t i = 0; i < depth; ++i) {
        const Lanes low = load(panel + i * kPanel);
        const Lanes high = load(panel + i * kPanel + kLanes);
        for (int64_t row = 0; row < kRows; ++row) {
            const float weight = weights[row * stride + i];
            sums[row][0] += weight * low;
            sums[row][1] += weight * high;
        }
    }
    float spread[kRows][kPanel];
    std::memcpy(spread, sums, sizeof(spread));
    for (int64_t column = 0; column < columns; ++column) {
        float* const to = result + column * result_stride;
        for (int64_t row = 0; row < kRows; ++row) {
            to[row] = adds ? to[row] + spread[row][column] : spread[row][column];
        }
    }
}

using Tile = void (*)(const float*, int64_t, const float*, int64_t, bool, float*, int64_t, int64_t);

template <size_t... kIndices>
constexpr std::array<Tile, sizeof...(kIndices)> tiles_of(std::index_sequence<kIndices...>) {
    return {multiply_tile<static_cast<int64_t>(kIndices) + 1>...};
}

// By the number of rows, less one.
constexpr auto kTiles = tiles_of(std::make_index_sequence<kTileRows>());

// Equal parts of at most about kDepth, in whole blocks of the weights' type.
int64_t part_of(int64_t depth, int64_t type_block) {
    const int64_t part = ceil_div(depth, ceil_div(depth, kDepth));
    return std::min(depth, ceil_div(part, type_block) * type_block);
}

}  // namespace

bool Matmul::multiply(const Product& product) {
    const auto type = static_cast<ggml_type>(product.weights_type);
    const bool is_float = type == GGML_TYPE_F32;
    if (product.columns < kColumnsMin ||
        (!is_float && ggml_get_type_traits(type)->to_float == nullptr)) {
        return false;
    }
    const int64_t part = part_of(product.depth, ggml_blck_size(type));
    for (int64_t first = 0; first < product.depth; first += part) {
        const int64_t depth = std::min(part, product.depth - first);
        pack(product, first, depth);
        for (int64_t row = 0; row < product.rows; row += kBlockRows) {
            multiply_block(product, row, first, depth);
        }
    }
    return true;
}

// Lays the tokens of a part of the depth side by side; what is missing of the last panel is zero.
void Matmul::pack(const Product& product, int64_t first, int64_t depth) {
    const int64_t panels = ceil_div(product.columns, kPanel);
    panels_.resize(static_cast<size_t>(panels * depth * kPanel));
    if (product.columns % kPanel != 0) {
        std::fill_n(panels_.begin() + (panels - 1) * depth * kPanel, depth * kPanel, 0.0F);
    }
    for (int64_t column = 0; column < product.columns; ++column) {
        const float* const from = product.tokens + column * product.tokens_stride + first;
        float* const to = panels_.data() + column / kPanel * depth * kPanel + column % kPanel;
        for (int64_t i = 0; i < depth; ++i) to[i * kPanel] = from[i];
    }
}

// At most kBlockRows rows of weights, times all panels.
void Matmul::multiply_block(const Product& product, int64_t begin, int64_t first, int64_t depth) {
    const int64_t end = std::min(begin + kBlockRows, product.rows);
    const Weights weights = floats(product, begin, end - begin, first, depth);
    for (int64_t column = 0; column < product.columns; column += kPanel) {
        const float* const panel = panels_.data() + column * depth;
        const int64_t columns = std::min(kPanel, product.columns - column);
        for (int64_t row = begin; row < end; row += kTileRows) {
            const int64_t rows = std::min(kTileRows, end - row);
            kTiles[static_cast<size_t>(rows - 1)](
                weights.data + (row - begin) * weights.stride, weights.stride, panel, depth,
                first > 0, product.result + column * product.result_stride + row,
                product.result_stride, columns);
        }
    }
}

// Rows of weights as floats: where they stand if that is what they are.
Matmul::Weights Matmul::floats(const Product& product, int64_t row, int64_t rows, int64_t first,
                               int64_t depth) {
    const auto type = static_cast<ggml_type>(product.weights_type);
    if (type == GGML_TYPE_F32) {
        return {static_cast<const float*>(product.weights) + row * product.weights_stride + first,
                product.weights_stride};
    }
    block_.resize(static_cast<size_t>(rows * depth));
    const auto size = static_cast<int64_t>(ggml_type_size(type));
    for (int64_t i = 0; i < rows; ++i) {
        const char* const from =
            static_cast<const char*>(product.weights) +
            ((row + i) * product.weights_stride + first / ggml_blck_size(type)) * size;
        ggml_get_type_traits(type)->to_float(from, block_.data() + i * depth, depth);
    }
    return {block_.data(), depth};
}

#else

bool Matmul::multiply(const Product&) {
    return false;
}

#endif

}  // namespace llamawire

#ifdef LLAMAWIRE_WRAPS_SGEMM

// The linker's --wrap: calls of the first name come to the second, and the third is the original.
// Depth and strides are in blocks of the types.
extern "C" {
struct ggml_compute_params;
bool __real_llamafile_sgemm(const ggml_compute_params* params, int64_t rows, int64_t columns,
                            int64_t depth, const void* weights, int64_t weights_stride,
                            const void* tokens, int64_t tokens_stride, void* result,
                            int64_t result_stride, int weights_type, int tokens_type,
                            int result_type);
bool __wrap_llamafile_sgemm(const ggml_compute_params* params, int64_t rows, int64_t columns,
                            int64_t depth, const void* weights, int64_t weights_stride,
                            const void* tokens, int64_t tokens_stride, void* result,
                            int64_t result_stride, int weights_type, int tokens_type,
                            int result_type);

bool __wrap_llamafile_sgemm(const ggml_compute_params* params, int64_t rows, int64_t columns,
                            int64_t depth, const void* weights, int64_t weights_stride,
                            const void* tokens, int64_t tokens_stride, void* result,
                            int64_t result_stride, int weights_type, int tokens_type,
                            int result_type) {
    using llamawire::active;
    if (active != nullptr && tokens_type == GGML_TYPE_F32 && result_type == GGML_TYPE_F32 &&
        active->multiply({rows, columns,
                          depth * ggml_blck_size(static_cast<ggml_type>(weights_type)), weights,
                          weights_stride, weights_type, static_cast<const float*>(tokens),
                          tokens_stride, static_cast<float*>(result), result_stride})) {
        return true;
    }
    return __real_llamafile_sgemm(params, rows, columns, depth, weights, weights_stride, tokens,
                                  tokens_stride, result, result_stride, weights_type, tokens_type,
                                  result_type);
}
}

#endif
