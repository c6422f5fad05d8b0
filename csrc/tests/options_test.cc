#include "llamawire/options.h"

#include <doctest/doctest.h>

#include <limits>

#include "llamawire/error.h"

namespace llamawire {

namespace {

std::string refusal(const JobOptions& options) {
    JobOptions copy = options;
    try {
        copy.check_and_resolve(LoopOptions());
    } catch (const Error& error) {
        CHECK(error.code() == Code::kInvalidArgument);
        return error.what();
    }
    return "";
}

template <typename Change>
std::string refusal_of(Change change) {
    JobOptions options;
    change(options);
    return refusal(options);
}

}  // namespace

TEST_CASE("the defaults are in order") {
    LoopOptions().check();
    CHECK(refusal(JobOptions()).empty());
}

TEST_CASE("an option out of range is refused by name") {
    const float nan = std::numeric_limits<float>::quiet_NaN();
    CHECK(refusal_of([](auto& o) { o.num_ctx = 3; }).find("num_ctx") == 0);
    CHECK(refusal_of([](auto& o) { o.num_ctx = 4097; }).find("num_ctx") == 0);
    CHECK(refusal_of([](auto& o) { o.num_batch = -1; }).find("num_batch") == 0);
    CHECK(refusal_of([&](auto& o) { o.sampling.temperature = nan; }).find("temperature") == 0);
    CHECK(refusal_of([&](auto& o) { o.sampling.top_p = nan; }).find("top_p") == 0);
    CHECK(refusal_of([](auto& o) { o.sampling.repeat_penalty = 0; }).find("repeat_penalty") == 0);
    CHECK(refusal_of([](auto& o) { o.sampling.repeat_last_n = -2; }).find("repeat_last_n") == 0);
    CHECK(refusal_of([](auto& o) { o.stop.assign(65, "x"); }).find("stop") == 0);
    CHECK(refusal_of([](auto& o) { o.stop = {std::string(5000, 'x')}; }).find("stop") == 0);
}

TEST_CASE("a loop's options out of range are refused") {
    const auto refuses = [](auto change) {
        LoopOptions options;
        change(options);
        CHECK_THROWS_AS(options.check(), Error);
    };
    refuses([](auto& o) { o.num_parallel = 0; });
    refuses([](auto& o) { o.num_parallel = 257; });
    refuses([](auto& o) { o.num_ctx = 3; });
    refuses([](auto& o) { o.num_batch = 0; });
    refuses([](auto& o) { o.num_thread = -1; });
    refuses([](auto& o) { o.kv_cache_type = "q3"; });
}

TEST_CASE("what is not given comes from the loop") {
    LoopOptions loop;
    loop.num_ctx = 1000;
    loop.num_batch = 100;
    JobOptions job;
    job.num_batch = 200;
    job.sampling.repeat_last_n = -1;
    job.sampling.typical_p = 0;
    job.stop = {"", "a", ""};
    job.check_and_resolve(loop);
    CHECK(job.num_ctx == 1000);
    CHECK(job.num_batch == 100);
    CHECK(job.sampling.repeat_last_n == 1000);
    CHECK(job.sampling.typical_p == 1.0F);
    CHECK(job.stop == std::vector<std::string>{"a"});
}

}  // namespace llamawire
