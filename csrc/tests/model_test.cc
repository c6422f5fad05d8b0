#include "llamawire/model.h"

#include <doctest/doctest.h>

#include "llamawire/context.h"
#include "llamawire/error.h"
#include "llamawire/prefix_cache.h"
#include "tiny_model.h"

namespace llamawire {

namespace {

std::vector<Token> prompt(int32_t size) {
    std::vector<Token> tokens;
    for (int32_t i = 0; i < size; ++i) tokens.push_back(1 + i * 7 % 290);
    return tokens;
}

bool never(void* /*unused*/) {
    return false;
}

// Computes tokens[begin, end) in calls of at most `tokens_max`, and gives the last one's logits.
std::vector<float> prefill(Context* context, const Model& model, int32_t stream,
                           const std::vector<Token>& tokens, int32_t begin, int32_t tokens_max) {
    const auto size = static_cast<int32_t>(tokens.size());
    int32_t index = 0;
    for (int32_t at = begin; at < size;) {
        const int32_t end = chunk_end(at, size, context->kind().unit, tokens_max);
        context->begin_batch();
        for (int32_t i = at; i < end; ++i)
            index = context->add(stream, tokens[i], i, i == size - 1);
        REQUIRE(context->decode(CallKind::kDecode, ThreadChoice::kFound) == Outcome::kDone);
        at = end;
    }
    const float* logits = context->logits(index);
    REQUIRE(logits != nullptr);
    return {logits, logits + model.info().vocab_size};
}

}  // namespace

TEST_CASE("a model tells what it is and reads out its vocabulary") {
    const auto model = load_tiny_model();
    CHECK(model->info().vocab_size == 300);
    CHECK(model->info().adds_bos);
    CHECK(model->piece(1).empty());
    CHECK(model->piece(3 + 'a') == "a");
    CHECK(model->piece(270) == "w270");
    CHECK(model->is_end(2));
    CHECK_FALSE(model->is_end(270));
    CHECK(model->newlines() == std::vector<Token>{3 + '\n'});
    CHECK_THROWS_AS(model->check_tokens(std::vector<Token>{300}.data(), 1), Error);
}

TEST_CASE("logits behind a warm prefix are bit for bit those of a cold run") {
    for (int32_t embedding : {64, 256}) {
        TinyShape shape;
        shape.embedding = embedding;
        shape.blocks = 4;
        const auto model = load_tiny_model(shape);
        LoopOptions options;
        options.num_parallel = 3;
        options.num_ctx = 1024;
        Context context(*model, options, never, nullptr);
        REQUIRE(context.kind().can_cut);
        for (int32_t size : {1, 2, 63, 64, 65, 200, 500, 640}) {
            const std::vector<Token> tokens = prompt(size);
            const int32_t warm = (size - 1) / context.kind().unit * context.kind().unit;
            context.clear();
            const auto cold = prefill(&context, *model, 0, tokens, 0, 512);
            // The same again, from what stands in the cache.
            context.cut(0, warm);
            CHECK(prefill(&context, *model, 0, tokens, warm, 512) == cold);
            // Read in small chunks in another stream, beside a stream that holds something.
            CHECK(prefill(&context, *model, 2, tokens, 0, 1) == cold);
            // A copy of a longer prompt's beginning.
            std::vector<Token> longer = tokens;
            longer.insert(longer.end(), 150, 9);
            context.cut(0, 0);
            prefill(&context, *model, 0, longer, 0, 128);
            context.copy(0, 1);
            context.cut(1, warm);
            CHECK(prefill(&context, *model, 1, tokens, warm, 512) == cold);
        }
    }
}

TEST_CASE("a ghost token leaves no trace in a stream") {
    const auto model = load_tiny_model();
    Context context(*model, LoopOptions(), never, nullptr);
    const std::vector<Token> tokens = prompt(130);
    const auto cold = prefill(&context, *model, 0, tokens, 0, 512);
    context.cut(0, 128);
    context.begin_batch();
    context.add(0, 0, 128, false);
    REQUIRE(context.decode(CallKind::kDecode, ThreadChoice::kFound) == Outcome::kDone);
    context.cut(0, 128);
    CHECK(prefill(&context, *model, 0, tokens, 128, 512) == cold);
}

}  // namespace llamawire
