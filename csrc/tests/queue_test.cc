#include "llamawire/queue.h"

#include <doctest/doctest.h>

#include <thread>

#include "llamawire/error.h"

namespace llamawire {

namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::unique_ptr<JobRequest> job(uint64_t job_id) {
    auto request = std::make_unique<JobRequest>();
    request->job_id = job_id;
    return request;
}

Event last_event(uint64_t job_id) {
    Event event;
    event.job_id = job_id;
    event.kind = Event::Kind::kFinished;
    return event;
}

void publish(Queue* queue, Event event) {
    std::vector<Event> events;
    events.push_back(std::move(event));
    queue->publish(&events);
}

Code submit_code(Queue* queue, uint64_t job_id) {
    try {
        queue->submit(job(job_id));
    } catch (const Error& error) {
        return error.code();
    }
    return Code::kInternal;
}

}  // namespace

TEST_CASE("commands come in order") {
    Queue queue(10);
    queue.submit(job(1));
    queue.send(Command::Kind::kPause, 1);
    queue.send(Command::Kind::kCancel, 1);
    std::vector<Command> commands;
    REQUIRE(queue.take(milliseconds(0), &commands));
    REQUIRE(commands.size() == 3);
    CHECK(commands[0].kind == Command::Kind::kSubmit);
    CHECK(commands[0].request->job_id == 1);
    CHECK(commands[1].kind == Command::Kind::kPause);
    CHECK(commands[2].kind == Command::Kind::kCancel);
    REQUIRE(queue.take(milliseconds(0), &commands));
    CHECK(commands.empty());
}

TEST_CASE("a full queue refuses until a job leaves the line") {
    Queue queue(1);
    queue.submit(job(1));
    CHECK(submit_code(&queue, 2) == Code::kResourceExhausted);
    queue.leave_waiting();
    queue.submit(job(2));
    CHECK(queue.waiting() == 1);
}

TEST_CASE("an id may be used again only after its last event") {
    Queue queue(10);
    queue.submit(job(1));
    CHECK(submit_code(&queue, 1) == Code::kAlreadyExists);
    publish(&queue, last_event(1));
    queue.submit(job(1));
}

TEST_CASE("a cancel of an unknown id is ignored") {
    Queue queue(10);
    queue.send(Command::Kind::kCancel, 7);
    std::vector<Command> commands;
    queue.take(milliseconds(0), &commands);
    CHECK(commands.empty());
}

TEST_CASE("a call is unwanted when all of its rows are cancelled, and not before") {
    Queue queue(10);
    for (uint64_t id : {1, 2, 3}) queue.submit(job(id));
    queue.begin_call({1, 2});
    CHECK_FALSE(queue.is_call_unwanted());
    queue.send(Command::Kind::kCancel, 1);
    queue.send(Command::Kind::kCancel, 3);
    CHECK_FALSE(queue.is_call_unwanted());
    queue.send(Command::Kind::kCancel, 2);
    CHECK(queue.is_call_unwanted());
    // Their commands have not been taken: a call with them is unwanted from the start.
    queue.begin_call({1, 2});
    CHECK(queue.is_call_unwanted());
    std::vector<Command> commands;
    queue.take(milliseconds(0), &commands);
    queue.begin_call({4});
    CHECK_FALSE(queue.is_call_unwanted());
}

TEST_CASE("waiting ends with the first events") {
    Queue queue(10);
    std::vector<Event> events;
    std::thread loop([&] { publish(&queue, last_event(5)); });
    while (events.empty()) queue.wait(seconds(10), &events);
    loop.join();
    CHECK(events[0].job_id == 5);
}

TEST_CASE("what is not urgent is handed out too, all together") {
    Queue queue(10);
    std::vector<Event> events(2);
    queue.publish(&events);
    queue.wait(seconds(10), &events);
    CHECK(events.size() == 2);
    publish(&queue, Event());
    publish(&queue, Event());
    queue.wait(seconds(10), &events);
    CHECK(events.size() == 2);
}

TEST_CASE("a first token and an end are urgent") {
    Event event;
    CHECK_FALSE(event.is_urgent());
    event.is_first = true;
    CHECK(event.is_urgent());
    CHECK(last_event(5).is_urgent());
}

TEST_CASE("waiting ends with the time-out") {
    Queue queue(10);
    std::vector<Event> events(3);
    queue.wait(milliseconds(1), &events);
    CHECK(events.empty());
}

TEST_CASE("a closed queue refuses, wakes everyone, and hands out what is left") {
    Queue queue(10);
    std::vector<Event> events;
    std::vector<Command> commands;
    bool open = true;
    std::thread reader([&] { queue.wait(seconds(60), &events); });
    std::thread loop([&] { open = queue.take(seconds(60), &commands); });
    queue.close();
    reader.join();
    loop.join();
    CHECK_FALSE(open);
    CHECK(queue.is_call_unwanted());
    CHECK(submit_code(&queue, 1) == Code::kFailedPrecondition);
    publish(&queue, last_event(5));
    queue.wait(seconds(60), &events);
    REQUIRE(events.size() == 1);
    queue.wait(seconds(60), &events);
    CHECK(events.empty());
}

TEST_CASE("the loop waits for a reader that is too slow") {
    Queue queue(10);
    std::vector<Event> many(Queue::kEventsMax);
    queue.publish(&many);
    std::thread loop([&] { publish(&queue, last_event(5)); });
    size_t count = 0;
    std::vector<Event> events;
    while (count <= Queue::kEventsMax) {
        queue.wait(seconds(10), &events);
        count += events.size();
    }
    loop.join();
    CHECK(count == Queue::kEventsMax + 1);
}

// For the thread sanitizer: every entry from its own thread.
TEST_CASE("callers and loop meet without a race") {
    constexpr uint64_t kJobs = 500;
    Queue queue(kJobs);
    std::thread submitter([&] {
        for (uint64_t id = 0; id < kJobs; ++id) queue.submit(job(id));
    });
    std::thread canceller([&] {
        for (uint64_t id = 0; id < kJobs; ++id) queue.send(Command::Kind::kCancel, id);
    });
    std::thread loop([&] {
        std::vector<Command> commands;
        std::vector<Event> events;
        uint64_t ended = 0;
        while (ended < kJobs && queue.take(milliseconds(10), &commands)) {
            for (const Command& command : commands) {
                if (command.kind != Command::Kind::kSubmit) continue;
                queue.begin_call({command.job_id});
                (void)queue.is_call_unwanted();
                queue.leave_waiting();
                events.push_back(last_event(command.job_id));
                ++ended;
            }
            queue.publish(&events);
        }
    });
    uint64_t seen = 0;
    std::vector<Event> events;
    while (seen < kJobs) {
        queue.wait(seconds(10), &events);
        seen += events.size();
    }
    submitter.join();
    canceller.join();
    loop.join();
    CHECK(queue.waiting() == 0);
}

}  // namespace llamawire
