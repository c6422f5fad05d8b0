#include "llamawire/thread_tuner.h"

#include <doctest/doctest.h>

namespace llamawire {

namespace {

// Makes `calls` calls on a machine where a call takes `ns(threads)`; how many were probes.
template <typename Machine>
int make_calls(ThreadTuner* tuner, int calls, Machine ns, int64_t size = 1) {
    int probes = 0;
    for (int i = 0; i < calls; ++i) {
        const int32_t chosen = tuner->chosen();
        const int32_t threads = tuner->next(true);
        if (threads != chosen) ++probes;
        tuner->measured(size, ns(threads));
    }
    return probes;
}

double quiet_ns(int32_t threads) {
    return 8000.0 / threads + 100.0 * threads;
}

// Others use the CPUs, and every thread more is waited for longer.
double busy_ns(int32_t threads) {
    return 8000.0 * threads;
}

}  // namespace

TEST_CASE("counts to try are powers of two and all cores") {
    CHECK(thread_counts(1) == std::vector<int32_t>{1});
    CHECK(thread_counts(2) == std::vector<int32_t>{1, 2});
    CHECK(thread_counts(6) == std::vector<int32_t>{1, 2, 4, 6});
    CHECK(thread_counts(8) == std::vector<int32_t>{1, 2, 4, 8});
}

TEST_CASE("one count is never probed") {
    ThreadTuner tuner({3}, 3);
    CHECK(make_calls(&tuner, 1000, quiet_ns) == 0);
    CHECK(tuner.chosen() == 3);
}

TEST_CASE("a good number stays, and probes that lose become rare") {
    ThreadTuner tuner({1, 2, 4}, 4);
    make_calls(&tuner, 2000, quiet_ns);
    CHECK(tuner.chosen() == 4);
    CHECK(make_calls(&tuner, 5120, quiet_ns) <= 5120 / ThreadTuner::kProbeEveryMax + 1);
}

TEST_CASE("the number falls when the machine becomes busy and rises when it is quiet again") {
    ThreadTuner tuner({1, 2, 4}, 4);
    make_calls(&tuner, 2000, quiet_ns);
    make_calls(&tuner, 2000, busy_ns);
    CHECK(tuner.chosen() == 1);
    make_calls(&tuner, 2000, quiet_ns);
    CHECK(tuner.chosen() == 4);
}

TEST_CASE("a machine that becomes busy is noticed soon, even where probes have become rare") {
    ThreadTuner tuner({1, 2}, 2);
    make_calls(&tuner, 2000, quiet_ns);
    int calls = 0;
    for (; calls < ThreadTuner::kProbeEveryMax && tuner.chosen() == 2; ++calls) {
        make_calls(&tuner, 1, busy_ns);
    }
    CHECK(calls <= ThreadTuner::kProbeEveryMax / ThreadTuner::kSoon + 3 * ThreadTuner::kWinsNeeded);
}

TEST_CASE("one lucky probe changes nothing") {
    ThreadTuner tuner({1, 2}, 2);
    int probes = 0;
    for (int i = 0; i < 5000; ++i) {
        const int32_t threads = tuner.next(true);
        const bool is_lucky = threads == 1 && ++probes % 3 == 0;
        tuner.measured(1, is_lucky ? 10.0 : quiet_ns(threads));
        CHECK(tuner.chosen() == 2);
    }
}

TEST_CASE("calls of different sizes are not compared") {
    ThreadTuner tuner({1, 2}, 2);
    for (int i = 0; i < 5000; ++i) {
        const int32_t threads = tuner.next(true);
        // Whenever there is a probe, the call is smaller, and so quicker.
        tuner.measured(threads == 1 ? 1 : 8, threads == 1 ? 10.0 : 1000.0);
    }
    CHECK(tuner.chosen() == 2);
}

TEST_CASE("there is no probe where it may not be") {
    ThreadTuner tuner({1, 2}, 2);
    for (int i = 0; i < 1000; ++i) {
        CHECK(tuner.next(false) == 2);
        tuner.measured(1, 1000.0);
    }
    CHECK(make_calls(&tuner, 2, quiet_ns) == 1);
}

}  // namespace llamawire
