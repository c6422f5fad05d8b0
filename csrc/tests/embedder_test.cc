#include "llamawire/embedder.h"

#include <doctest/doctest.h>

#include <cmath>

#include "llamawire/error.h"
#include "tiny_model.h"

namespace llamawire {

namespace {

using Inputs = std::vector<std::vector<Token>>;

EmbedderOptions last_token(int32_t num_ctx) {
    EmbedderOptions options;
    options.num_ctx = num_ctx;
    options.num_batch = 64;
    options.pooling = "last";
    return options;
}

std::vector<Token> text(int32_t size, int32_t salt) {
    std::vector<Token> tokens;
    for (int32_t i = 0; i < size; ++i) tokens.push_back(1 + (i * 7 + salt * 13) % 290);
    return tokens;
}

std::vector<float> embed(Embedder* embedder, const Inputs& inputs) {
    std::vector<float> vectors(inputs.size() * static_cast<size_t>(embedder->info().width));
    embedder->embed(inputs, vectors.data(), nullptr);
    return vectors;
}

template <typename Function>
std::string failure(Function function, Code code) {
    try {
        function();
    } catch (const Error& error) {
        CHECK(error.code() == code);
        return error.what();
    }
    return "";
}

}  // namespace

TEST_CASE("inputs together have the vectors that each has alone, in the order of the inputs") {
    Embedder embedder(load_tiny_model(), last_token(2048));
    Inputs inputs;
    for (int32_t i = 0; i < 40; ++i) inputs.push_back(text(1 + i * 11 % 60, i));
    inputs.push_back(text(1300, 99));  // in three chunks
    const std::vector<float> together = embed(&embedder, inputs);
    const auto width = static_cast<size_t>(embedder.info().width);
    for (size_t i = 0; i < inputs.size(); ++i) {
        const std::vector<float> alone = embed(&embedder, {inputs[i]});
        float length = 0.0F;
        for (size_t k = 0; k < width; ++k) {
            CHECK(together[i * width + k] == doctest::Approx(alone[k]).epsilon(0.01));
            length += alone[k] * alone[k];
        }
        CHECK(length == doctest::Approx(1.0F));
    }
}

TEST_CASE("what would make llama.cpp abort is refused") {
    Embedder causal(load_tiny_model(), last_token(100));
    CHECK(failure([&] { embed(&causal, {text(101, 0)}); }, Code::kInvalidArgument) ==
          "input 0 has 101 tokens, and the limit is 100");
    CHECK(failure([&] { embed(&causal, {{5}, {}}); }, Code::kInvalidArgument) ==
          "input 1 has no tokens");
    CHECK(failure([&] { embed(&causal, {{300}}); }, Code::kInvalidArgument) != "");

    EmbedderOptions mean = last_token(4096);
    mean.pooling = "mean";
    mean.num_batch = 700;
    Embedder whole(load_tiny_model(), mean);
    CHECK(whole.info().input_tokens_max == 700);
    CHECK(embed(&whole, {text(700, 1)}).size() == 64);
    CHECK(failure([&] { embed(&whole, {text(701, 0)}); }, Code::kInvalidArgument) != "");
}

TEST_CASE("an unknown pooling is refused by name") {
    EmbedderOptions options;
    options.pooling = "median";
    CHECK(failure([&] { Embedder(load_tiny_model(), options); }, Code::kInvalidArgument) ==
          "pooling must be mean, cls, last or rank");
}

TEST_CASE("a cancelled request ends, and the next one is served") {
    Embedder embedder(load_tiny_model(), last_token(2048));
    Cancellation cancellation;
    cancellation.ask();
    std::vector<float> vector(64);
    CHECK(failure([&] { embedder.embed({{5, 6}}, vector.data(), &cancellation); },
                  Code::kCancelled) == "the request was cancelled");
    CHECK(embed(&embedder, {{5, 6}}).size() == 64);
}

}  // namespace llamawire
