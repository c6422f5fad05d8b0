#include "llamawire/loop.h"

#include <doctest/doctest.h>
#include <llama-cpp.h>

#include <algorithm>
#include <future>
#include <map>

#include "tiny_model.h"

namespace llamawire {

namespace {

using std::chrono::seconds;

struct Result {
    std::vector<Token> tokens;
    std::string text;
    std::string reason;
    std::string code;
};

JobRequest job(uint64_t job_id, std::vector<Token> prompt, int32_t num_predict) {
    JobRequest request;
    request.job_id = job_id;
    request.prompt = std::move(prompt);
    request.options.num_predict = num_predict;
    request.options.sampling.temperature = 0;
    return request;
}

std::map<uint64_t, Result> collect(Loop* loop, size_t count) {
    std::map<uint64_t, Result> results;
    std::vector<Event> events;
    for (size_t ended = 0; ended < count;) {
        loop->wait(seconds(20), &events);
        REQUIRE_FALSE(events.empty());
        for (const Event& event : events) {
            Result& result = results[event.job_id];
            if (event.token >= 0) result.tokens.push_back(event.token);
            result.text += event.text;
            if (!event.is_last()) continue;
            result.reason = event.reason;
            result.code = event.code;
            ++ended;
        }
    }
    return results;
}

// llama.cpp by itself: the prompt in one call, then token by token, always the likeliest.
std::vector<Token> greedy_by_llama(const Model& model, std::vector<Token> prompt, int count) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 1024;
    params.n_threads = 1;
    params.n_threads_batch = 1;
    llama_context_ptr context(llama_init_from_model(model.handle(), params));
    std::vector<Token> tokens;
    llama_batch batch = llama_batch_get_one(prompt.data(), static_cast<int32_t>(prompt.size()));
    for (int i = 0; i < count; ++i) {
        REQUIRE(llama_decode(context.get(), batch) == 0);
        const float* logits = llama_get_logits_ith(context.get(), -1);
        const float* best = std::max_element(logits, logits + model.info().vocab_size);
        tokens.push_back(static_cast<Token>(best - logits));
        batch = llama_batch_get_one(&tokens.back(), 1);
    }
    return tokens;
}

std::vector<Token> numbers(Token first, size_t count) {
    std::vector<Token> tokens;
    for (size_t i = 0; i < count; ++i) tokens.push_back((first + static_cast<Token>(i) * 13) % 299);
    return tokens;
}

// Begins like all others of that size, and goes on by itself.
std::vector<Token> branch(size_t common, Token id) {
    std::vector<Token> tokens = numbers(7, common);
    for (Token i = 0; i < 20; ++i) tokens.push_back((id * 31 + i * 17 + 3) % 299);
    return tokens;
}

// Holds the loop's first call back until all jobs are there, so that they meet.
class Gate {
  public:
    void wait() { opened_.wait(); }
    void open() { open_.set_value(); }

  private:
    std::promise<void> open_;
    std::shared_future<void> opened_ = open_.get_future().share();
};

// A loop whose llama_decode gives `answers`, one a call, and then the truth.
LoopOptions faulty(std::vector<int32_t> answers) {
    LoopOptions options;
    options.num_ctx = 512;
    auto next = std::make_shared<size_t>(0);
    options.decode_fault = [answers = std::move(answers), next](size_t) {
        return *next < answers.size() ? answers[(*next)++] : 0;
    };
    return options;
}

}  // namespace

TEST_CASE("greedy tokens are those of llama.cpp used directly") {
    const auto model = load_tiny_model();
    for (size_t size : {1, 17, 100, 300}) {
        Loop loop(model, LoopOptions());
        loop.submit(job(1, numbers(5, size), 50));
        const auto results = collect(&loop, 1);
        CHECK(results.at(1).tokens == greedy_by_llama(*model, numbers(5, size), 50));
        CHECK(results.at(1).reason == "length");
    }
}

TEST_CASE("no room fails the newest row only") {
    const auto model = load_tiny_model();
    Loop plain(model, LoopOptions());
    plain.submit(job(1, {1, 5}, 30));
    const auto expected = collect(&plain, 1).at(1).tokens;

    // The prompts of 1 and 2 pass; the first call with both rows finds no room.
    Gate gate;
    bool failed = false;
    LoopOptions options;
    options.decode_fault = [&](size_t rows) {
        gate.wait();
        if (rows < 2 || failed) return 0;
        failed = true;
        return 1;
    };
    Loop loop(model, options);
    loop.submit(job(1, {1, 5}, 30));
    loop.submit(job(2, {1, 6}, 100000));
    gate.open();
    auto results = collect(&loop, 2);
    CHECK(results[1].tokens == expected);
    CHECK(results[2].code == "RESOURCE_EXHAUSTED");
}

TEST_CASE("a refused batch fails its rows, and the loop goes on") {
    const auto model = load_tiny_model();
    Loop loop(model, faulty({0, 0, -1}));
    loop.submit(job(1, {1, 5}, 30));
    CHECK(collect(&loop, 1)[1].code == "INTERNAL");
    loop.submit(job(2, {1, 5}, 3));
    CHECK(collect(&loop, 1)[2].reason == "length");
}

TEST_CASE("a lost cache is computed again and the tokens do not change") {
    const auto model = load_tiny_model();
    Loop plain(model, LoopOptions());
    plain.submit(job(1, numbers(5, 100), 30));
    const auto expected = collect(&plain, 1).at(1).tokens;
    for (int32_t answer : {-2, -3}) {
        Loop loop(model, faulty({0, 0, 0, 0, answer, 0, 0, 0, answer}));
        loop.submit(job(1, numbers(5, 100), 30));
        const auto results = collect(&loop, 1);
        CHECK(results.at(1).tokens == expected);
        CHECK(results.at(1).reason == "length");
        CHECK(loop.stats().lost_caches == 2);
    }
}

TEST_CASE("a cache that is lost again and again fails the row") {
    const auto model = load_tiny_model();
    Loop loop(model, faulty(std::vector<int32_t>(Loop::kTriesMax + 1, -3)));
    loop.submit(job(1, {1, 5}, 30));
    CHECK(collect(&loop, 1)[1].code == "INTERNAL");
    loop.submit(job(2, {1, 5}, 3));
    CHECK(collect(&loop, 1)[2].reason == "length");
    CHECK(loop.stats().active == 0);
}

TEST_CASE("gaps between the rows are closed by ghosts or by moving the topmost row") {
    const auto model = load_tiny_model();
    Gate gate;
    LoopOptions options;
    options.num_parallel = 6;
    options.decode_fault = [&](size_t) {
        gate.wait();
        return 0;
    };
    Loop plain(model, LoopOptions());
    plain.submit(job(1, numbers(6, 40), 400));
    const auto expected = collect(&plain, 1).at(1).tokens;

    Loop loop(model, options);
    // Rows 1 to 4 end early, each at another time; 0 and 5 are left far apart.
    for (uint64_t id = 0; id < 6; ++id) {
        const int32_t length = id == 0 || id == 5 ? 400 : 20 * static_cast<int32_t>(id);
        loop.submit(job(id, numbers(static_cast<Token>(id) + 1, 40), length));
    }
    gate.open();
    const auto results = collect(&loop, 6);
    CHECK(results.at(5).tokens == expected);
    CHECK(loop.stats().ghost_rows > 0);
    CHECK(loop.stats().ghost_rows < 200);
}

TEST_CASE("prompts with a common beginning that arrive together are computed once") {
    const auto model = load_tiny_model();
    for (bool reproducible : {false, true}) {
        Gate gate;
        LoopOptions options;
        options.num_parallel = 8;
        options.num_ctx = 1024;
        options.decode_fault = [&](size_t) {
            gate.wait();
            return 0;
        };
        Loop loop(model, options);
        for (uint64_t id = 0; id < 8; ++id) {
            JobRequest request = job(id, branch(600, static_cast<Token>(id)), 10);
            request.options.reproducible = reproducible;
            loop.submit(std::move(request));
        }
        gate.open();
        const auto results = collect(&loop, 8);
        for (uint64_t id = 0; id < 8; ++id) {
            const auto expected = greedy_by_llama(*model, branch(600, static_cast<Token>(id)), 10);
            CHECK(results.at(id).tokens == expected);
        }
        // Each computes its own end; a reproducible one the whole unit of it.
        CHECK(loop.stats().prefill_tokens <= 600 + 8 * (20 + 64));
        CHECK(loop.stats().cached_tokens >= 7 * (600 - 64));
    }
}

TEST_CASE("short prompts that arrive together share a call, but isolated ones do not") {
    const auto model = load_tiny_model();
    const auto prompt = [](uint64_t id) {
        return numbers(static_cast<Token>(id) * 29 + 3, 15 + id);
    };
    for (bool isolated : {false, true}) {
        Gate gate;
        int64_t calls = 0;
        LoopOptions options;
        options.num_parallel = 8;
        options.num_ctx = 512;
        options.prefill_budget_ms = 60000;  // however slow the machine
        options.decode_fault = [&](size_t) {
            gate.wait();
            ++calls;
            return 0;
        };
        Loop loop(model, options);
        for (uint64_t id = 0; id < 8; ++id) {
            JobRequest request = job(id, prompt(id), 10);
            request.options.isolated = isolated;
            loop.submit(std::move(request));
        }
        gate.open();
        const auto results = collect(&loop, 8);
        for (uint64_t id = 0; id < 8; ++id) {
            CHECK(results.at(id).tokens == greedy_by_llama(*model, prompt(id), 10));
        }
        // The first call may have begun before the others came.
        if (!isolated) CHECK(calls - loop.stats().steps <= 2);
        if (isolated) CHECK(calls - loop.stats().steps == 8);
    }
}

TEST_CASE("who waits for a prompt that is cancelled goes on with what there is") {
    const auto model = load_tiny_model();
    for (bool pauses : {false, true}) {
        Gate gate;
        LoopOptions options;
        options.num_ctx = 1024;
        options.num_batch = 64;
        Loop* running = nullptr;
        int calls = 0;
        options.decode_fault = [&](size_t) {
            gate.wait();
            if (++calls == 3) pauses ? running->pause(0) : running->cancel(0);
            return 0;
        };
        Loop loop(model, options);
        running = &loop;
        for (uint64_t id = 0; id < 3; ++id) loop.submit(job(id, branch(600, Token(id)), 10));
        gate.open();
        auto results = collect(&loop, pauses ? 2 : 3);
        for (uint64_t id : {1, 2}) {
            CHECK(results[id].tokens == greedy_by_llama(*model, branch(600, Token(id)), 10));
        }
        CHECK(loop.stats().prefill_tokens < 1000);
        if (!pauses) continue;
        loop.resume(0);
        results = collect(&loop, 1);
        CHECK(results[0].tokens == greedy_by_llama(*model, branch(600, 0), 10));
    }
}

TEST_CASE("a loop that is dropped ends at once, whatever it does") {
    const auto model = load_tiny_model();
    for (int round = 0; round < 20; ++round) {
        Loop loop(model, LoopOptions());
        for (uint64_t id = 0; id < 10; ++id) loop.submit(job(id, numbers(3, 500), 100000));
    }
}

}  // namespace llamawire
