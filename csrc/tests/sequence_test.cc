#include "llamawire/sequence.h"

#include <doctest/doctest.h>

#include <numeric>
#include <string>

namespace llamawire {

namespace {

// Token t is the letter 'a' + t % 26; 99 is an end of generation, 50 to 52 are the bytes of 你; 98
// and 97 are the control tokens <m> and <n>.
class Letters : public Pieces {
  public:
    std::string_view spelling(Token token) const override {
        return token == 98 ? "<m>" : token == 97 ? "<n>" : "";
    }
    std::string_view piece(Token token) const override {
        if (token == 97 || token == 98) return {};
        static const std::string kBytes = "\xE4\xBD\xA0";
        static const std::string kLetters = "abcdefghijklmnopqrstuvwxyz";
        if (token >= 50 && token <= 52) return std::string_view(kBytes).substr(token - 50, 1);
        return std::string_view(kLetters).substr(token % 26, 1);
    }
    bool is_end(Token token) const override { return token == 99; }
};

const Letters kLetters;

JobRequest request(int32_t prompt_size, int32_t num_ctx, bool shift) {
    JobRequest request;
    request.prompt.resize(static_cast<size_t>(prompt_size));
    std::iota(request.prompt.begin(), request.prompt.end(), 1000);
    request.options.num_ctx = num_ctx;
    request.options.shift = shift;
    return request;
}

Sequence make(JobRequest request, bool can_shift = true, bool adds_bos = false) {
    return {std::move(request), kLetters, can_shift, adds_bos};
}

// As the loop does it: make room, decode, sample. Token i of the model is i.
End run(Sequence* sequence, int count) {
    for (int i = 0; i < count && sequence->end() == End::kNone; ++i) {
        sequence->make_room();
        sequence->accept(static_cast<Token>(sequence->generated_count()) % 26);
    }
    return sequence->end();
}

}  // namespace

TEST_CASE("without shift a job ends when prompt and generated fill the context") {
    Sequence sequence = make(request(5, 256, false));
    CHECK(run(&sequence, 1000) == End::kContext);
    CHECK(sequence.generated_count() == 251);
}

TEST_CASE("a model that cannot shift ends so too") {
    Sequence sequence = make(request(5, 256, true), false);
    CHECK(run(&sequence, 1000) == End::kContext);
    CHECK(sequence.generated_count() == 251);
}

TEST_CASE("with shift the context never exceeds num_ctx and ends at ten contexts") {
    Sequence sequence = make(request(5, 32, true));
    size_t largest = 0;
    while (run(&sequence, 1) == End::kNone) largest = std::max(largest, sequence.context().size());
    CHECK(sequence.end() == End::kLength);
    CHECK(sequence.generated_count() == 320);
    CHECK(largest == 32);
    CHECK(sequence.shift_count() > 20);
}

TEST_CASE("a shift keeps num_keep tokens and drops half of the rest") {
    JobRequest job = request(31, 32, true);
    job.options.num_keep = 4;
    Sequence sequence = make(std::move(job));
    sequence.accept(7);
    const auto shift = sequence.make_room();
    REQUIRE(shift.has_value());
    CHECK(shift->keep == 4);
    CHECK(shift->discard == (31 - 4) / 2);
    CHECK(sequence.context().size() == 32 - 13);
    CHECK(sequence.context()[3] == 1003);
    CHECK(sequence.context()[4] == 1017);
    CHECK(sequence.context().back() == 7);
    CHECK(sequence.history().size() == 32);
    CHECK_FALSE(sequence.make_room().has_value());
}

TEST_CASE("num_keep counts a BOS on top, and a negative one means the prompt") {
    const auto keep = [](int32_t num_keep, bool adds_bos, int32_t prompt_size) {
        JobRequest job = request(prompt_size, 32, true);
        job.options.num_keep = num_keep;
        Sequence sequence = make(std::move(job), true, adds_bos);
        while (sequence.context().size() < 32) sequence.accept(0);
        return sequence.make_room()->keep;
    };
    CHECK(keep(4, true, 10) == 5);
    CHECK(keep(-1, false, 10) == 10);
    CHECK(keep(-1, true, 10) == 11);
    CHECK(keep(1000, false, 10) == 32 - Sequence::kShiftReserve);
    CHECK(keep(-1, true, 31) == 32 - Sequence::kShiftReserve);
}

TEST_CASE("the smallest context shifts without end") {
    JobRequest job = request(3, 4, true);
    job.options.num_keep = -1;
    Sequence sequence = make(std::move(job));
    CHECK(run(&sequence, 1000) == End::kLength);
    CHECK(sequence.generated_count() == 40);
}

TEST_CASE("num_predict ends a job, and never later than ten contexts") {
    const auto count = [](int32_t num_predict, bool shift) {
        JobRequest job = request(5, 32, shift);
        job.options.num_predict = num_predict;
        Sequence sequence = make(std::move(job));
        run(&sequence, 10000);
        return sequence.generated_count();
    };
    CHECK(count(7, true) == 7);
    CHECK(count(7, false) == 7);
    CHECK(count(1000000, true) == 320);
    CHECK(count(0, true) == 320);
    CHECK(count(0, false) == 27);
    CHECK(count(-2, false) == 27);
}

TEST_CASE("an end of generation counts and has no text") {
    JobRequest job = request(5, 32, true);
    job.options.stop = {"bz"};
    Sequence sequence = make(std::move(job));
    CHECK(sequence.accept(0) == End::kNone);
    CHECK(sequence.accept(1) == End::kNone);
    CHECK(sequence.take_text() == "a");
    CHECK(sequence.accept(99) == End::kStop);
    CHECK(sequence.take_text() == "b");
    CHECK(sequence.generated_count() == 3);
}

TEST_CASE("a stop string's tokens count") {
    JobRequest job = request(5, 32, true);
    job.options.stop = {"bcd"};
    Sequence sequence = make(std::move(job));
    CHECK(run(&sequence, 100) == End::kStop);
    CHECK(sequence.take_text() == "a");
    CHECK(sequence.generated_count() == 4);
}

TEST_CASE("held back text is flushed at the limit") {
    JobRequest job = request(5, 32, true);
    job.options.stop = {"bcdx"};
    job.options.num_predict = 3;
    Sequence sequence = make(std::move(job));
    CHECK(run(&sequence, 100) == End::kLength);
    CHECK(sequence.take_text() == "abc");
}

TEST_CASE("a control token is text only where it is one of the marks, and ends none of it") {
    JobRequest job = request(5, 32, true);
    job.options.marks = {"<m>"};
    job.options.stop = {"bc", "<m>"};
    Sequence sequence = make(std::move(job));
    std::string text;
    for (Token token : {0, 1, 98, 2, 97, 3, 50, 98, 1}) {
        REQUIRE(sequence.accept(token) == End::kNone);
        text += sequence.take_text();
    }
    const std::string mark = std::string(kMarkBegin) + "<m>" + std::string(kMarkEnd);
    CHECK(text == "ab" + mark + "cd\xEF\xBF\xBD" + mark);
    CHECK(sequence.accept(2) == End::kStop);
    CHECK(sequence.take_text().empty());
}

TEST_CASE("a sequence brought back by its ids goes on as if undisturbed") {
    JobRequest job = request(20, 32, true);
    job.options.num_predict = 90;
    job.options.stop = {"fgh", "zab"};
    job.options.marks = {"<m>"};
    job.options.thinking.budget_tokens = 2;
    job.options.thinking.opening = "<m>";
    job.options.thinking.closings = {"<n>"};
    job.options.thinking.reopens = true;
    job.options.thinking.ending = {3, 98, 50, 51, 52, 97};
    const std::vector<Token> script = {0, 5, 6, 50, 98, 97, 51, 52, 1, 97, 98,
                                       2, 3, 4, 5,  6,  8,  9,  25, 0, 2};
    const auto next_token = [&](const Sequence& sequence) {
        const auto place = static_cast<size_t>(sequence.generated_count()) % script.size();
        return sequence.forced_token() >= 0 ? sequence.forced_token() : script[place];
    };

    Sequence whole = make(job);
    std::string text;
    std::vector<Token> generated;
    std::vector<std::string> text_before = {""};  // delivered before token i
    std::vector<std::vector<Token>> contexts;
    while (whole.end() == End::kNone) {
        whole.make_room();
        contexts.push_back(whole.context());
        generated.push_back(next_token(whole));
        whole.accept(generated.back());
        text += whole.take_text();
        text_before.push_back(text);
    }
    REQUIRE(whole.shift_count() > 3);
    REQUIRE(text.find("d" + std::string(kMarkBegin) + "<m>") != std::string::npos);
    for (size_t cut = 0; cut < generated.size(); ++cut) {
        JobRequest resumed = job;
        resumed.generated.assign(generated.begin(),
                                 generated.begin() + static_cast<ptrdiff_t>(cut));
        resumed.emitted_bytes = text_before[cut].size();
        Sequence sequence = make(std::move(resumed));
        sequence.make_room();
        REQUIRE(sequence.context() == contexts[cut]);
        std::string rest = sequence.take_text();
        while (sequence.end() == End::kNone) {
            sequence.make_room();
            sequence.accept(next_token(sequence));
            rest += sequence.take_text();
        }
        REQUIRE(text_before[cut] + rest == text);
        REQUIRE(sequence.generated_count() == whole.generated_count());
        REQUIRE(sequence.shift_count() == whole.shift_count());
        REQUIRE(sequence.end() == whole.end());
    }
}

TEST_CASE("text that was lost with the worker comes when the job is brought back") {
    JobRequest job = request(5, 32, true);
    job.generated = {0, 1, 2};
    job.emitted_bytes = 1;
    Sequence sequence = make(std::move(job));
    CHECK(sequence.take_text() == "bc");
}

TEST_CASE("a job that was over when its worker died is over at once") {
    JobRequest job = request(5, 32, true);
    job.options.num_predict = 2;
    job.generated = {0, 1};
    Sequence sequence = make(std::move(job));
    CHECK(sequence.end() == End::kLength);
    CHECK(sequence.take_text() == "ab");
}

}  // namespace llamawire
