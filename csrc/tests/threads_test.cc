#include "llamawire/threads.h"

#include <doctest/doctest.h>

#include "llamawire/backend.h"

namespace llamawire {

TEST_CASE("threads are at least one and at most what the process may use") {
    CHECK(choose_num_threads(0) >= 1);
    CHECK(choose_num_threads(1) == 1);
    CHECK(choose_num_threads(100000) == usable_cpus());
}

TEST_CASE("a number that was asked for holds for both kinds of call") {
    const Threads threads(1);
    CHECK(threads.num(CallKind::kDecode) == 1);
    CHECK(threads.num(CallKind::kPrefill) == 1);
}

TEST_CASE("a thread pool is made through the backend's registry") {
    Backend::start();
    CHECK(make_thread_pool(2) != nullptr);
}

}  // namespace llamawire
