#include "llamawire/grammar.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <map>
#include <random>

#include "llamawire/error.h"
#include "llamawire/loop.h"
#include "llamawire/sampler.h"
#include "tiny_model.h"

namespace llamawire {

namespace {

constexpr const char* kJson = R"(root ::= object
object ::= "{" ws ( pair ("," ws pair)* )? "}"
pair ::= string ":" ws value
value ::= object | string | "true" | "null" | [0-9]{1,5}
string ::= "\"" [^"\\\x00-\x1F\x7F]{0,8} "\""
ws ::= [ \n]{0,2}
)";

// Bytes are tokens 3 to 258 of the tiny model.
Token byte_token(char c) {
    return 3 + static_cast<unsigned char>(c);
}

void accept_text(Constraint* constraint, const std::string& text) {
    for (char c : text) constraint->accept(byte_token(c));
}

bool allows(Constraint* constraint, Token token) {
    Candidate candidate = {1.0F, 0.0F, token};
    constraint->filter(&candidate, 1);
    return candidate.logit == 1.0F;
}

std::vector<float> random_row(size_t count, uint32_t seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0F, 4.0F);
    std::vector<float> row(count);
    for (float& logit : row) logit = normal(random);
    return row;
}

struct Answer {
    std::string text;
    std::string reason;
    std::string code;
    std::vector<Token> tokens;
};

std::map<uint64_t, Answer> collect(Loop* loop, size_t count) {
    std::map<uint64_t, Answer> answers;
    std::vector<Event> events;
    for (size_t done = 0; done < count;) {
        loop->wait(std::chrono::seconds(10), &events);
        for (const Event& event : events) {
            Answer& answer = answers[event.job_id];
            answer.text += event.text;
            if (event.token >= 0) answer.tokens.push_back(event.token);
            if (!event.is_last()) continue;
            answer.reason = event.reason;
            answer.code = event.code;
            ++done;
        }
    }
    return answers;
}

JobRequest job(uint64_t id, const std::string& grammar, int32_t num_predict) {
    JobRequest request;
    request.job_id = id;
    request.prompt = {1, byte_token('a'), static_cast<Token>(3 + id)};
    request.options.num_predict = num_predict;
    request.options.grammar = grammar;
    request.options.sampling.seed = id;
    request.options.sampling.temperature = 1.5F;
    return request;
}

}  // namespace

TEST_CASE("the tree of the vocabulary leads to all tokens that the grammar allows") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    for (const std::string text : {"", "{", "{\"", "{\"a\xC3", "{\"ab\": ", "{\"a\":1", "{}"}) {
        const auto constraint = grammars.constraint(kJson, "root");
        accept_text(constraint.get(), text);
        std::vector<Token> listed;
        constraint->list_allowed(&listed);
        std::sort(listed.begin(), listed.end());
        std::vector<Token> expected;
        for (Token token = 0; token < model->info().vocab_size; ++token) {
            if (allows(constraint.get(), token)) expected.push_back(token);
        }
        INFO(text);
        CHECK(listed == expected);
    }
}

TEST_CASE("marks frame an answer and are no text of it") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const Token mark = model->info().bos_token;
    JobOptions options;
    options.marks = {std::string(model->spelling(mark))};
    options.grammar = R"(root ::= "{" [^{}]* "}")";
    options.grammar_frame =
        "root ::= \"a\" \"" + options.marks[0] + "\" [^b]* \"b\" \"" + options.marks[0] + "\"";
    const auto framed = grammars.constraint(options);
    CHECK_FALSE(allows(framed.get(), byte_token('{')));
    CHECK_FALSE(allows(framed.get(), mark));
    accept_text(framed.get(), "a");
    CHECK(allows(framed.get(), mark));
    framed->accept(mark);
    accept_text(framed.get(), "{x");
    CHECK_FALSE(allows(framed.get(), model->info().eos_token));
    accept_text(framed.get(), "b");
    std::vector<Token> listed;
    framed->list_allowed(&listed);
    CHECK(std::count(listed.begin(), listed.end(), mark) == 1);
    SUBCASE("as a token") {
        framed->accept(mark);
    }
    SUBCASE("spelt out") {
        accept_text(framed.get(), options.marks[0]);
    }
    CHECK_FALSE(allows(framed.get(), byte_token('x')));
    accept_text(framed.get(), "{x");
    CHECK_FALSE(allows(framed.get(), mark));
    accept_text(framed.get(), "}");
    CHECK(allows(framed.get(), model->info().eos_token));
}

TEST_CASE("a text of the frame that ends with no mark is the whole") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const Token mark = model->info().bos_token;
    JobOptions options;
    options.marks = {std::string(model->spelling(mark))};
    options.grammar = R"(root ::= "x")";
    options.grammar_frame = "root ::= \"a\" \"" + options.marks[0] + "\" | \"c\" [a-z]*";
    const auto framed = grammars.constraint(options);
    accept_text(framed.get(), "cab");
    CHECK(allows(framed.get(), model->info().eos_token));
    CHECK(allows(framed.get(), byte_token('c')));
}

TEST_CASE("an end comes only when the grammar is complete, and nothing after it") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const auto constraint = grammars.constraint(kJson, "root");
    const Token end = model->info().eos_token;
    CHECK_FALSE(allows(constraint.get(), end));
    accept_text(constraint.get(), "{\"a\":1");
    CHECK_FALSE(allows(constraint.get(), end));
    accept_text(constraint.get(), "}");
    CHECK(allows(constraint.get(), end));
    CHECK_FALSE(allows(constraint.get(), byte_token(' ')));
    constraint->accept(end);
    CHECK_FALSE(allows(constraint.get(), end));
    CHECK_THROWS_AS(constraint->accept(end), Error);
}

TEST_CASE("a token that is not allowed is refused and changes nothing") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const auto constraint = grammars.constraint(kJson, "root");
    accept_text(constraint.get(), "{\"");
    CHECK_THROWS_AS(constraint->accept(model->info().eos_token), Error);
    CHECK_THROWS_AS(constraint->accept(byte_token('\n')), Error);
    CHECK_THROWS_AS(constraint->accept(byte_token('\0')), Error);
    CHECK_THROWS_AS(constraint->accept(0), Error);  // <unk> has no text
    accept_text(constraint.get(), "x\":null}");
    CHECK(allows(constraint.get(), model->info().eos_token));
}

TEST_CASE("bytes that make no UTF-8 never come") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const auto constraint = grammars.constraint("root ::= .*", "root");
    for (const char c : {'\x80', '\xC0', '\xC1', '\xF5', '\xFF'}) {
        CHECK_FALSE(allows(constraint.get(), byte_token(c)));
    }
    constraint->accept(byte_token('\xED'));
    CHECK_FALSE(allows(constraint.get(), byte_token('\xA0')));  // would be a surrogate
    CHECK_FALSE(allows(constraint.get(), byte_token('a')));
    CHECK_FALSE(allows(constraint.get(), model->info().eos_token));
    accept_text(constraint.get(), "\x9F\xBF");
    CHECK(allows(constraint.get(), model->info().eos_token));
}

TEST_CASE("the sampler takes the best of what is allowed, as if it had looked at every token") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const auto size = static_cast<size_t>(model->info().vocab_size);
    Sampler sampler(size, {}, {});
    for (const int32_t top_k : {0, 1, 3, 40, 400}) {
        for (const std::string text : {"", "{", "{\"", "{\"ab\":", "{}"}) {
            const auto constraint = grammars.constraint(kJson, "root");
            accept_text(constraint.get(), text);
            std::vector<float> row = random_row(size, static_cast<uint32_t>(top_k) + 7);
            std::vector<float> masked = row;
            for (size_t id = 0; id < size; ++id) {
                if (!allows(constraint.get(), static_cast<Token>(id))) masked[id] = -INFINITY;
            }
            SamplingOptions options;
            options.top_k = top_k;
            options.seed = 5;
            for (uint64_t index = 0; index < 20; ++index) {
                const Token token =
                    sampler.sample(row.data(), options, {}, index, constraint.get());
                CHECK(token == sampler.sample(masked.data(), options, {}, index));
            }
        }
    }
}

TEST_CASE("a format that the vocabulary cannot follow fails the row, not the process") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const auto constraint = grammars.constraint(R"(root ::= "a" "b")", "root");
    constraint->accept(byte_token('a'));
    Sampler sampler(static_cast<size_t>(model->info().vocab_size), {}, {byte_token('b')});
    std::vector<float> row = random_row(static_cast<size_t>(model->info().vocab_size), 1);
    for (Token token = 259; token < model->info().vocab_size; ++token) row[token] = -INFINITY;
    CHECK_THROWS_AS(sampler.sample(row.data(), {}, {}, 0, constraint.get()), Error);
}

TEST_CASE("rows with and without grammars share a batch, and each keeps to its own") {
    const auto model = load_tiny_model();
    Loop loop(model, LoopOptions());
    for (uint64_t id = 0; id < 12; ++id) {
        const std::string text = id % 3 == 0   ? ""
                                 : id % 3 == 1 ? R"(root ::= "yes" | "no")"
                                               : "root ::= [ab]{3} \"!\"";
        loop.submit(job(id, text, 20));
    }
    auto answers = collect(&loop, 12);
    for (uint64_t id = 0; id < 12; ++id) {
        const Answer& answer = answers[id];
        if (id % 3 == 1) CHECK((answer.text == "yes" || answer.text == "no"));
        if (id % 3 == 2) CHECK((answer.text.size() == 4 && answer.text.back() == '!'));
        if (id % 3 != 0) CHECK(answer.reason == "stop");
    }
}

TEST_CASE("a job brought back by its ids goes on in its grammar") {
    const auto model = load_tiny_model();
    Loop loop(model, LoopOptions());
    loop.submit(job(5, kJson, 60));
    const Answer whole = collect(&loop, 1)[5];
    REQUIRE(whole.tokens.size() > 4);
    for (size_t cut = 1; cut < whole.tokens.size(); ++cut) {
        JobRequest request = job(5, kJson, 60);
        request.generated.assign(whole.tokens.begin(),
                                 whole.tokens.begin() + static_cast<ptrdiff_t>(cut));
        loop.submit(std::move(request));
        const Answer rest = collect(&loop, 1)[5];
        REQUIRE(rest.text == whole.text);
        REQUIRE(rest.reason == whole.reason);
    }
}

TEST_CASE("texts go on where the automaton has dropped what it knew") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    std::string text = "root ::=";
    for (int i = 0; i < 6; ++i) text += " \"a\"{1999} [bc]";
    const auto ahead = grammars.constraint(text, "root");
    const auto behind = grammars.constraint(text, "root");
    accept_text(behind.get(), "aaa");
    for (int i = 0; i < 6; ++i) {
        accept_text(ahead.get(), std::string(1999, 'a'));
        CHECK(allows(ahead.get(), byte_token('b')));
        CHECK_FALSE(allows(ahead.get(), byte_token('a')));
        CHECK(allows(behind.get(), byte_token('a')));
        CHECK_FALSE(allows(behind.get(), byte_token('b')));
        accept_text(ahead.get(), "c");
    }
    CHECK(allows(ahead.get(), model->info().eos_token));
    accept_text(behind.get(), std::string(1996, 'a') + "b");
}

TEST_CASE("a grammar whose readings multiply is refused before a row has it") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    const char* const text = R"(root ::= x "!"
x ::= [a-z] x | [a-z] x [a-z] | [a-z] x x | [a-z])";
    CHECK_THROWS_WITH_AS(grammars.prepare(text, "root"), doctest::Contains("too ambiguous"), Error);
    CHECK_NOTHROW(grammars.prepare("root ::= ([a-z]+ \",\"?){0,100}", "root"));
}

TEST_CASE("a grammar that is none is refused at submit") {
    const auto model = load_tiny_model();
    Loop loop(model, LoopOptions());
    CHECK_THROWS_AS(loop.submit(job(1, "root ::= nope", 5)), Error);
    CHECK_THROWS_AS(loop.submit(job(1, "root ::= root \"a\" | \"b\"", 5)), Error);
    loop.submit(job(1, "root ::= \"ok\"", 5));
    CHECK(collect(&loop, 1)[1].text == "ok");
}

TEST_CASE("logprobs come with each token") {
    const auto model = load_tiny_model();
    Loop loop(model, LoopOptions());
    JobRequest request = job(1, "", 10);
    request.options.top_logprobs = 3;
    request.options.sampling.repeat_penalty = 1.5F;
    request.options.sampling.temperature = 0.0F;
    loop.submit(std::move(request));
    std::vector<Event> events;
    size_t tokens = 0;
    for (bool done = false; !done;) {
        loop.wait(std::chrono::seconds(10), &events);
        for (const Event& event : events) {
            done = event.is_last();
            if (event.token < 0) continue;
            ++tokens;
            REQUIRE(event.logprobs.size() == 4);
            CHECK(event.logprobs[0].token == event.token);
            CHECK(event.logprobs[0].logprob <= event.logprobs[1].logprob);
            CHECK(event.logprobs[1].logprob >= event.logprobs[2].logprob);
            CHECK(event.logprobs[0].logprob <= 0.0F);
        }
    }
    CHECK(tokens == 10);
}

}  // namespace llamawire
