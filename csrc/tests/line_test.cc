#include "llamawire/line.h"

#include <doctest/doctest.h>

#include <vector>

namespace llamawire {

namespace {

const Line::Clock::time_point kStart{};

void add(Line* line, uint64_t job_id, const std::string& caller = "", int32_t priority = 0,
         Line::Clock::duration at = {}) {
    auto request = std::make_unique<JobRequest>();
    request->job_id = job_id;
    request->options.user = caller;
    request->options.priority = priority;
    line->add(std::move(request), kStart + at);
}

uint64_t take(Line* line, Line::Clock::duration at = {}) {
    return line->take(kStart + at).request->job_id;
}

std::vector<uint64_t> take_all(Line* line) {
    std::vector<uint64_t> ids;
    while (!line->empty()) ids.push_back(take(line));
    return ids;
}

}  // namespace

TEST_CASE("jobs of one caller and priority go in the order they came") {
    Line line;
    for (uint64_t id : {3, 1, 2}) add(&line, id);
    CHECK(take_all(&line) == std::vector<uint64_t>{3, 1, 2});
}

TEST_CASE("a higher priority goes first") {
    Line line;
    add(&line, 1, "", -1);
    add(&line, 2);
    add(&line, 3, "", 5);
    CHECK(take_all(&line) == std::vector<uint64_t>{3, 2, 1});
}

TEST_CASE("waiting counts as priority, so the lowest is not passed for ever") {
    Line line;
    add(&line, 1, "", kPriorityMin);
    const auto bound = (kPriorityMax - kPriorityMin) * Line::kAgeing;
    add(&line, 2, "", kPriorityMax, bound - std::chrono::seconds(2 * Line::kAgeing));
    CHECK(take(&line, bound - Line::kAgeing) == 2);
    add(&line, 3, "", kPriorityMax, bound);
    CHECK(take(&line, bound) == 1);
}

TEST_CASE("a caller with a hundred jobs does not keep another one waiting") {
    Line line;
    for (uint64_t id = 1; id <= 100; ++id) add(&line, id, "many");
    for (int stream = 0; stream < 4; ++stream) take(&line);
    line.served("many", 50000);
    add(&line, 200, "one");
    CHECK(take(&line) == 200);
}

TEST_CASE("of two callers the one that was served less goes first") {
    Line line;
    for (uint64_t id : {1, 2}) add(&line, id, "a");
    for (uint64_t id : {11, 12}) add(&line, id, "b");
    CHECK(take(&line) == 1);
    CHECK(take(&line) == 11);
    line.served("a", 1000);
    line.served("b", 10);
    CHECK(take(&line) == 12);
    CHECK(take(&line) == 2);
}

TEST_CASE("a caller saves nothing up while it is away") {
    Line line;
    add(&line, 1, "early");
    take(&line);
    line.ended("early");
    for (uint64_t id : {2, 3}) add(&line, id, "busy");
    take(&line);
    line.served("busy", 100000);
    for (uint64_t id : {4, 5}) add(&line, id, "early");
    CHECK(take(&line) == 4);
    line.served("early", 1);
    CHECK(take(&line) == 3);
}

TEST_CASE("a job leaves the line wherever it stands") {
    Line line;
    for (uint64_t id : {1, 2, 3}) add(&line, id, "a");
    REQUIRE(line.find(2) != nullptr);
    line.find(2)->paused = true;
    line.remove(2);
    line.remove(99);
    CHECK(line.find(2) == nullptr);
    CHECK(take_all(&line) == std::vector<uint64_t>{1, 3});
}

}  // namespace llamawire
