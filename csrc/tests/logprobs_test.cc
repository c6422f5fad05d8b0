#include "llamawire/logprobs.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>

namespace llamawire {

namespace {

std::vector<float> random_row(size_t count, uint32_t seed, float spread) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, spread);
    std::vector<float> row(count);
    for (float& logit : row) logit = normal(random);
    return row;
}

double exact_log_sum(const std::vector<float>& row) {
    const double best = *std::max_element(row.begin(), row.end());
    double sum = 0.0;
    for (float logit : row) sum += std::exp(logit - best);
    return best + std::log(sum);
}

}  // namespace

TEST_CASE("log-probabilities are those of a softmax over the row") {
    LogprobReader reader;
    for (size_t count : {1U, 7U, 16U, 511U, 512U, 513U, 32000U, 128256U}) {
        for (float spread : {0.1F, 3.0F, 50.0F}) {
            const std::vector<float> row = random_row(count, static_cast<uint32_t>(count), spread);
            reader.read(row.data(), row.size(), 0);
            const double log_sum = exact_log_sum(row);
            CHECK(reader.logprob(row[0]) == doctest::Approx(row[0] - log_sum).epsilon(1e-5));
            CHECK(reader.best().empty());
        }
    }
}

TEST_CASE("the best are in order, equal ones by the lower id") {
    std::vector<float> row = random_row(5000, 3, 2.0F);
    row[4000] = row[40] = 30.0F;
    LogprobReader reader;
    reader.read(row.data(), row.size(), 20);
    std::vector<Token> expected(row.size());
    for (size_t i = 0; i < row.size(); ++i) expected[i] = static_cast<Token>(i);
    std::sort(expected.begin(), expected.end(),
              [&](Token a, Token b) { return row[a] > row[b] || (row[a] == row[b] && a < b); });
    REQUIRE(reader.best().size() == 20);
    for (size_t i = 0; i < 20; ++i) CHECK(reader.best()[i].token == expected[i]);
    CHECK(reader.best()[0].logprob == doctest::Approx(std::log(0.5)));
}

TEST_CASE("what is impossible or no number is never among the best") {
    std::vector<float> row(100, -std::numeric_limits<float>::infinity());
    row[3] = std::numeric_limits<float>::quiet_NaN();
    row[50] = 1.0F;
    LogprobReader reader;
    reader.read(row.data(), row.size(), 5);
    REQUIRE(reader.best().size() == 1);
    CHECK(reader.best()[0].token == 50);
    CHECK(reader.best()[0].logprob == doctest::Approx(0.0));
}

}  // namespace llamawire
