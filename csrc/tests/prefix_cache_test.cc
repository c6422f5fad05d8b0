#include "llamawire/prefix_cache.h"

#include <doctest/doctest.h>

#include <numeric>

#include "llamawire/image_span.h"

namespace llamawire {

namespace {

constexpr int32_t kUnit = 64;

std::vector<Token> tokens(size_t count, Token first = 0) {
    std::vector<Token> ids(count);
    std::iota(ids.begin(), ids.end(), first);
    return ids;
}

std::vector<Token> joined(std::vector<Token> a, const std::vector<Token>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

Placement place(const PrefixCache& cache, const std::vector<Token>& context,
                bool reproducible = true, int32_t copy_cost = 1000000) {
    return cache.place({context, kUnit, true, reproducible, true, copy_cost});
}

// A job that is computed and gone; its stream.
int32_t serve(PrefixCache* cache, const std::vector<Token>& context,
              const std::vector<Token>& generated = {}, bool stays = false) {
    const Placement placement = place(*cache, context);
    cache->occupy(placement);
    cache->prefilled(placement.stream, context, static_cast<int32_t>(context.size()), kUnit);
    for (Token token : generated) cache->decoded(placement.stream, token);
    if (!stays) cache->free(placement.stream);
    return placement.stream;
}

}  // namespace

TEST_CASE("chunks end at multiples of the unit, wherever they begin") {
    CHECK(chunk_end(0, 1000, 64, 512) == 512);
    CHECK(chunk_end(0, 1000, 64, 511) == 448);
    CHECK(chunk_end(0, 1000, 64, 1) == 64);
    CHECK(chunk_end(960, 1000, 64, 1) == 1000);
    CHECK(chunk_end(0, 40, 64, 1) == 40);
    CHECK(chunk_end(70, 1000, 64, 64) == 128);
    CHECK(chunk_end(70, 1000, 64, 200) == 256);
    CHECK(chunk_end(0, 10, 2, 2) == 2);
    CHECK(chunk_end(9, 10, 2, 2) == 10);
}

TEST_CASE("however a prompt is cut in time, its pieces are the same") {
    for (int32_t tokens_max : {1, 64, 100, 512, 4096}) {
        for (int32_t size : {1, 63, 64, 65, 128, 700}) {
            int32_t end = 0;
            while (end < size) {
                const int32_t next = chunk_end(end, size, kUnit, tokens_max);
                REQUIRE(next > end);
                REQUIRE((next == size || next % kUnit == 0));
                end = next;
            }
        }
    }
}

TEST_CASE("a reproducible job takes over whole units and computes the last piece again") {
    PrefixCache cache(2);
    serve(&cache, tokens(200));
    CHECK(place(cache, tokens(200)).reused == 192);
    CHECK(place(cache, tokens(192)).reused == 128);
    CHECK(place(cache, tokens(193)).reused == 192);
    CHECK(place(cache, tokens(64)).reused == 0);
    CHECK(place(cache, tokens(1000)).reused == 192);
}

TEST_CASE("another job takes over all but the last token") {
    PrefixCache cache(2);
    serve(&cache, tokens(200));
    CHECK(place(cache, tokens(200), false).reused == 199);
    CHECK(place(cache, tokens(1000), false).reused == 200);
}

TEST_CASE("generated tokens are taken over by jobs that need not be reproducible") {
    PrefixCache cache(1);
    const auto generated = tokens(300, 5000);
    serve(&cache, tokens(100), generated);
    const auto next_turn = joined(joined(tokens(100), generated), tokens(20, 9000));
    CHECK(place(cache, next_turn, true).reused == 64);
    CHECK(place(cache, next_turn, false).reused == 400);
}

TEST_CASE("tokens behind a reuse that was not exact are not exact") {
    PrefixCache cache(1);
    serve(&cache, tokens(100), tokens(100, 5000));
    const auto second = joined(joined(tokens(100), tokens(100, 5000)), tokens(300, 9000));
    const Placement placement = place(cache, second, false);
    cache.occupy(placement);
    cache.prefilled(0, second, 500, kUnit);
    cache.free(0);
    CHECK(cache.stream(0).exact == 64);
    CHECK(place(cache, second, true).reused == 64);
}

TEST_CASE("a job with another unit shares nothing exactly") {
    PrefixCache cache(1);
    serve(&cache, tokens(200));
    const auto context = tokens(200);
    CHECK(cache.place({context, 2, true, true, true, 1}).reused == 0);
    CHECK(cache.place({context, 2, true, false, true, 1}).reused == 199);
    CHECK(cache.place({context, 2, false, false, true, 1}).reused == 0);
}

TEST_CASE("a shift leaves the front exact") {
    PrefixCache cache(1);
    serve(&cache, tokens(300), {}, true);
    cache.shifted(0, 100, 50);
    CHECK(cache.size(0) == 250);
    CHECK(cache.stream(0).tokens[100] == 150);
    CHECK(cache.stream(0).exact == 64);
}

TEST_CASE("a lost cache holds nothing") {
    PrefixCache cache(1);
    serve(&cache, tokens(300));
    cache.clear();
    CHECK(cache.size(0) == 0);
    CHECK(place(cache, tokens(300)).reused == 0);
}

TEST_CASE("a job goes to the free stream that holds most of its prompt") {
    PrefixCache cache(4);
    cache.occupy({0, -1, 0});
    cache.occupy({1, -1, 0});
    cache.prefilled(0, tokens(200, 7000), 200, kUnit);
    cache.prefilled(1, tokens(200), 200, kUnit);
    cache.free(0);
    cache.free(1);
    CHECK(place(cache, tokens(300)).stream == 1);
    CHECK(place(cache, tokens(300, 7000)).stream == 0);
}

TEST_CASE("a job with nothing in common goes to an empty stream before it evicts") {
    PrefixCache cache(3);
    const int32_t first = serve(&cache, tokens(200));
    const int32_t second = serve(&cache, tokens(200, 7000));
    CHECK(first != second);
    const int32_t third = serve(&cache, tokens(200, 8000));
    CHECK(third != first);
    CHECK(third != second);
    // All are full now: the least recently used goes.
    CHECK(place(cache, tokens(200, 9000)).stream == first);
}

TEST_CASE("a long conversation is not given up for a short common beginning") {
    PrefixCache cache(2);
    const int32_t first = serve(&cache, tokens(2000));
    serve(&cache, tokens(10, 7000));
    const auto other = joined(tokens(64), tokens(100, 8000));
    CHECK(place(cache, other).stream != first);
}

TEST_CASE("active streams stay together") {
    PrefixCache cache(8);
    serve(&cache, tokens(100), {}, true);
    const Placement second = place(cache, tokens(100, 7000));
    CHECK(second.stream == 1);
    cache.occupy(second);
    CHECK(place(cache, tokens(100, 8000)).stream == 2);
}

TEST_CASE("a gap between active streams is filled first when nothing speaks against it") {
    PrefixCache cache(8);
    for (int32_t stream = 0; stream < 3; ++stream) cache.occupy({stream, -1, 0});
    cache.free(1);
    const Placement placement = place(cache, tokens(100));
    CHECK((placement.stream == 1 || placement.stream == 3));
}

TEST_CASE("what was computed together with tokens behind it is not exact in front of an image") {
    PrefixCache cache(1);
    serve(&cache, tokens(200));
    Image image("digest", 1, true);
    const std::vector<float> embeddings(70);
    image.add_chunk(embeddings.data(), embeddings.size());
    const auto seen = joined(joined(tokens(30), image.ids()), tokens(20, 9000));
    CHECK(place(cache, seen).reused == 0);
    CHECK(place(cache, seen, false).reused == 30);

    const auto placement = place(cache, seen);
    cache.occupy(placement);
    cache.prefilled(0, seen, 30, kUnit);
    cache.prefilled(0, seen, 64, kUnit);
    cache.prefilled(0, seen, 100, kUnit);
    cache.prefilled(0, seen, 120, kUnit);
    CHECK(cache.stream(0).exact == 100);
    cache.free(0);
    CHECK(place(cache, seen).reused == 100);
    // Cold, these tokens would be one piece with those behind them.
    const auto longer = joined(tokens(30), tokens(90, 7000));
    CHECK(place(cache, longer).reused == 0);
    cache.occupy(place(cache, longer, false));
    CHECK(cache.size(0) == 30);
    cache.prefilled(0, longer, 64, kUnit);
    cache.prefilled(0, longer, 120, kUnit);
    cache.free(0);
    CHECK(place(cache, longer).reused == 0);
}

TEST_CASE("a busy stream's prefix is copied when that is cheaper than computing") {
    PrefixCache cache(4);
    const int32_t busy = serve(&cache, tokens(1000), {}, true);
    const Placement cheap = place(cache, tokens(1200), true, 100);
    CHECK(cheap.stream != busy);
    CHECK(cheap.source == busy);
    CHECK(cheap.reused == 960);
    const Placement dear = place(cache, tokens(1200), true, 5000);
    CHECK(dear.source == -1);
    CHECK(dear.reused == 0);
    cache.occupy(cheap);
    CHECK(cache.size(cheap.stream) == 960);
    CHECK(cache.stream(cheap.stream).exact == 960);
}

TEST_CASE("nothing is placed where all streams are busy") {
    PrefixCache cache(1);
    serve(&cache, tokens(10), {}, true);
    CHECK(place(cache, tokens(10)).stream == -1);
}

TEST_CASE("a row that moves leaves its tokens behind as a cache") {
    PrefixCache cache(4);
    cache.occupy({3, -1, 0});
    cache.prefilled(3, tokens(100), 100, kUnit);
    cache.moved(3, 1);
    CHECK(cache.stream(1).busy);
    CHECK_FALSE(cache.stream(3).busy);
    CHECK(cache.size(1) == 100);
    CHECK(cache.size(3) == 100);
}

TEST_CASE("the richest stream is found among idle and busy ones, and a fork has what it had") {
    PrefixCache cache(3);
    serve(&cache, tokens(100));
    const int32_t busy = serve(&cache, tokens(300, 1000), {}, true);
    const auto wanted = joined(tokens(250, 1000), tokens(50));
    const Placement found = cache.richest({wanted, kUnit, true, false, true, 0});
    CHECK(found.source == busy);
    CHECK(found.reused == 250);
    cache.fork(busy, 2, found.reused);
    CHECK(cache.size(2) == 250);
    CHECK(cache.stream(2).exact == 192);
    CHECK(cache.size(busy) == 300);
}

TEST_CASE("a placement that may not copy takes what its own stream has") {
    PrefixCache cache(2);
    const int32_t busy = serve(&cache, tokens(300), {}, true);
    const auto wanted = joined(tokens(250), tokens(50, 1000));
    PlacementRequest request{wanted, kUnit, true, false, true, 1};
    CHECK(cache.place(request).source == busy);
    request.may_copy = false;
    CHECK(cache.place(request).source == -1);
}

}  // namespace llamawire
