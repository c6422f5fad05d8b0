#include "llamawire/vectors.h"

#include <doctest/doctest.h>

#include <cmath>

namespace llamawire {

TEST_CASE("batches are filled up to the limit of tokens") {
    CHECK(pack({9, 6, 4, 3, 3, 1}, 10, 256) == std::vector<size_t>{0, 1, 3, 6});
}

TEST_CASE("an input longer than a batch has one to itself") {
    CHECK(pack({50, 40, 2, 1}, 10, 256) == std::vector<size_t>{0, 1, 2, 4});
}

TEST_CASE("a batch has no more inputs than there are sequences") {
    CHECK(pack({1, 1, 1, 1, 1}, 10, 2) == std::vector<size_t>{0, 2, 4, 5});
    CHECK(pack({1, 1}, 10, 1) == std::vector<size_t>{0, 1, 2});
}

TEST_CASE("no inputs make no batches") {
    CHECK(pack({}, 10, 256) == std::vector<size_t>{0});
}

TEST_CASE("a normalized vector has length 1, and one of zeros stays") {
    float vector[] = {3.0F, 0.0F, -4.0F};
    normalize(vector, 3);
    CHECK(vector[0] == doctest::Approx(0.6F));
    CHECK(vector[2] == doctest::Approx(-0.8F));
    float zeros[] = {0.0F, 0.0F};
    normalize(zeros, 2);
    CHECK(zeros[0] == 0.0F);
}

}  // namespace llamawire
