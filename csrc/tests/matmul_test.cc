#include "llamawire/matmul.h"

#include <doctest/doctest.h>
#include <ggml.h>

#include <cmath>
#include <random>
#include <vector>

namespace llamawire {

namespace {

std::vector<float> random_floats(int64_t count, uint32_t seed) {
    std::mt19937 engine(seed);
    std::normal_distribution<float> normal;
    std::vector<float> found(static_cast<size_t>(count));
    for (float& one : found) one = normal(engine);
    return found;
}

// Weights of the type and, as floats, what they stand for.
void check_product(ggml_type type, int64_t rows, int64_t columns, int64_t depth) {
    const std::vector<float> tokens = random_floats(columns * depth, 1);
    std::vector<float> weights = random_floats(rows * depth, 2);
    std::vector<char> stored(ggml_row_size(type, depth) * static_cast<size_t>(rows));
    ggml_quantize_chunk(type, weights.data(), stored.data(), 0, rows, depth, nullptr);
    if (type != GGML_TYPE_F32) {
        ggml_get_type_traits(type)->to_float(stored.data(), weights.data(), rows * depth);
    }
    std::vector<float> result(static_cast<size_t>(rows * columns), NAN);
    Matmul matmul;
    if (!matmul.multiply({rows, columns, depth, stored.data(), depth / ggml_blck_size(type), type,
                          tokens.data(), depth, result.data(), rows})) {
        CHECK(columns < Matmul::kColumnsMin);  // or a machine without vectors
        return;
    }
    for (int64_t column = 0; column < columns; ++column) {
        for (int64_t row = 0; row < rows; ++row) {
            double sum = 0;
            for (int64_t i = 0; i < depth; ++i) {
                sum += double{weights[static_cast<size_t>(row * depth + i)]} *
                       double{tokens[static_cast<size_t>(column * depth + i)]};
            }
            const float found = result[static_cast<size_t>(column * rows + row)];
            REQUIRE(std::abs(found - sum) < 1e-3);
        }
    }
}

}  // namespace

TEST_CASE("products of any shape and type are those of the plain sums") {
    for (ggml_type type : {GGML_TYPE_F32, GGML_TYPE_F16, GGML_TYPE_Q8_0}) {
        for (int64_t rows : {1, 6, 97, 200}) {
            for (int64_t columns : {32, 33, 63}) check_product(type, rows, columns, 64);
        }
        check_product(type, 30, 40, 1536);
        check_product(type, 30, 40, 416);
    }
    check_product(GGML_TYPE_Q4_K, 30, 40, 768);
}

TEST_CASE("few tokens are left to ggml") {
    check_product(GGML_TYPE_F32, 8, Matmul::kColumnsMin - 1, 64);
}

}  // namespace llamawire
