#include "llamawire/prefill_policy.h"

#include <doctest/doctest.h>

namespace llamawire {

namespace {

// A machine that needs 1000 ns for a token at depth 0 and 1 ns more for each one before it.
double machine_ns(int32_t begin, int32_t end) {
    return (end - begin) * (1000.0 + (begin + end) / 2.0);
}

PrefillSpeed measured_in_chunks(int32_t size, int32_t chunk) {
    PrefillSpeed speed;
    for (int32_t begin = 0; begin < size; begin += chunk) {
        speed.measured(begin, begin + chunk, machine_ns(begin, begin + chunk));
    }
    return speed;
}

}  // namespace

TEST_CASE("an unmeasured speed promises nothing") {
    const PrefillSpeed speed;
    CHECK_FALSE(speed.is_measured());
    CHECK(speed.ns(0, 100) == 0.0);
    CHECK(speed.tokens_within(0, 1e9) == 0);
}

TEST_CASE("one call tells the speed at its depth") {
    PrefillSpeed speed;
    speed.measured(0, 64, 64000.0);
    CHECK(speed.ns(0, 10) == doctest::Approx(10000.0));
    CHECK(speed.tokens_within(0, 50000.0) == 50);
}

TEST_CASE("the deeper a prompt stands the fewer tokens fit into a budget") {
    const PrefillSpeed speed = measured_in_chunks(4096, 64);
    CHECK(speed.ns(0, 64) == doctest::Approx(machine_ns(0, 64)).epsilon(0.01));
    CHECK(speed.ns(8000, 8064) == doctest::Approx(machine_ns(8000, 8064)).epsilon(0.01));
    for (int32_t begin : {0, 1000, 8000}) {
        const int32_t fitting = speed.tokens_within(begin, 1e6);
        CHECK(machine_ns(begin, begin + fitting) <= 1e6 * 1.01);
        CHECK(machine_ns(begin, begin + fitting + 2) >= 1e6 * 0.99);
    }
}

TEST_CASE("a machine that becomes slower is believed after some calls") {
    PrefillSpeed speed = measured_in_chunks(1024, 64);
    for (int call = 0; call < 25; ++call) speed.measured(512, 576, 4 * machine_ns(512, 576));
    CHECK(speed.ns(512, 576) == doctest::Approx(4 * machine_ns(512, 576)).epsilon(0.15));
}

TEST_CASE("a line that fits badly never promises free tokens") {
    PrefillSpeed speed;
    speed.measured(0, 64, 1000.0);
    speed.measured(4096, 4160, 1e6);
    speed.measured(1024, 1088, 10.0);
    for (int32_t begin : {0, 100, 10000}) CHECK(speed.ns(begin, begin + 1) > 0.0);
    // The other way round, deeper and faster, is taken for noise.
    PrefillSpeed noisy;
    noisy.measured(0, 64, 1e6);
    noisy.measured(4096, 4160, 1000.0);
    CHECK(noisy.ns(100000, 100064) == doctest::Approx(noisy.ns(0, 64)));
}

TEST_CASE("the shortest prompt has the next chunk, of equals the oldest") {
    PromptOrder order;
    CHECK(order.next({}) == -1);
    CHECK(order.next({{0, 1, 1300.0}, {1, 2, 20.0}, {2, 3, 20.0}}) == 1);
}

TEST_CASE("a long prompt behind endless short ones has every fourth chunk") {
    PromptOrder order;
    int chunks_of_long = 0;
    for (uint64_t turn = 0; turn < 100; ++turn) {
        chunks_of_long += order.next({{0, 1, 1e9}, {1, 2 + turn, 20.0}}) == 0;
    }
    CHECK(chunks_of_long == 25);
}

}  // namespace llamawire
