// Options of any values, and jobs that have those which are taken: what a job says, when it ends
// and how its context is shortened does not depend on whether it was broken off and went on.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "llamawire/error.h"
#include "llamawire/sequence.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr Token kEnd = 15;
constexpr Token kTokens = 20;

// Letters, parts of characters, an end, and some that have a spelling only.
class Vocabulary : public Pieces {
  public:
    std::string_view piece(Token token) const override {
        static const std::string kPieces[kEnd] = {"a",    "b",    "ab",   "c",      "<t>",
                                                  "</t>", "\xE4", "\xBD", "\xA0",   "\xF0",
                                                  "\n",   "aab",  "cab",  "\xFF b", ""};
        return token < kEnd ? std::string_view(kPieces[token]) : std::string_view();
    }
    std::string_view spelling(Token token) const override {
        return token == 16 ? "<m>" : token == 17 ? "<n>" : "";
    }
    bool is_end(Token token) const override { return token == kEnd; }
};

const Vocabulary kVocabulary;

std::string take_text(FuzzedDataProvider* data) {
    static const char* const kTexts[] = {"a",    "ab",           "b\n", "cab", "<t>",
                                         "</t>", "\xE4\xBD\xA0", "",    "<m>"};
    if (data->ConsumeIntegralInRange<int>(0, 15) == 0) return data->ConsumeRandomLengthString(300);
    return data->PickValueInArray(kTexts);
}

std::vector<std::string> take_texts(FuzzedDataProvider* data, size_t most) {
    std::vector<std::string> texts(data->ConsumeIntegralInRange<size_t>(0, most));
    for (std::string& text : texts) text = take_text(data);
    return texts;
}

// Mostly small; now and then at the edge of what the type holds.
int32_t take_number(FuzzedDataProvider* data) {
    constexpr int32_t kEdges[] = {INT32_MIN, -2, -1, 0, 1, 255, 16777217, INT32_MAX};
    if (data->ConsumeIntegralInRange<int>(0, 7) == 0) return data->PickValueInArray(kEdges);
    return data->ConsumeIntegralInRange<int32_t>(-1, 40);
}

float take_float(FuzzedDataProvider* data) {
    constexpr float kEdges[] = {0.0F, -1.0F, 1.0F, 1e-45F, 3e38F, 0.5F, INFINITY, NAN};
    return data->PickValueInArray(kEdges);
}

JobOptions take_options(FuzzedDataProvider* data) {
    JobOptions options;
    options.num_ctx = take_number(data);
    options.num_batch = take_number(data);
    options.num_predict = take_number(data);
    options.num_keep = take_number(data);
    options.shift = data->ConsumeBool();
    options.stop = take_texts(data, 4);
    options.marks = take_texts(data, 2);
    if (data->ConsumeBool()) {
        options.priority = take_number(data);
        options.top_logprobs = take_number(data);
        options.isolated = data->ConsumeBool();
        options.user = take_text(data);
        options.sampling.repeat_last_n = take_number(data);
        options.sampling.temperature = take_float(data);
        options.sampling.repeat_penalty = take_float(data);
        options.sampling.typical_p = take_float(data);
    }
    options.thinking.budget_tokens = take_number(data);
    options.thinking.opening = take_text(data);
    options.thinking.closings = take_texts(data, 2);
    options.thinking.is_open = data->ConsumeBool();
    options.thinking.reopens = data->ConsumeBool();
    options.thinking.ending = {4, 0, 5};
    return options;
}

bool resolve(JobOptions* options, const LoopOptions& loop) {
    try {
        options->check_and_resolve(loop);
    } catch (const Error& error) {
        REQUIRE(error.code() == Code::kInvalidArgument);
        return false;
    }
    REQUIRE(options->num_ctx >= 4 && options->num_ctx <= loop.num_ctx);
    REQUIRE(options->num_batch >= 1 && options->num_batch <= loop.num_batch);
    REQUIRE(options->sampling.repeat_last_n >= 0);
    REQUIRE(options->sampling.typical_p > 0.0F);
    JobOptions again = *options;
    again.check_and_resolve(loop);
    REQUIRE(again.num_ctx == options->num_ctx && again.num_batch == options->num_batch);
    return true;
}

// Tokens and images, less than the context holds.
void take_prompt(FuzzedDataProvider* data, JobRequest* request) {
    const auto most = static_cast<size_t>(request->options.num_ctx - 1);
    const auto size = data->ConsumeIntegralInRange<size_t>(1, most);
    while (request->prompt.size() < size) {
        request->prompt.push_back(data->ConsumeIntegralInRange<Token>(0, kTokens - 1));
        const auto room = size - request->prompt.size();
        if (room == 0 || data->ConsumeIntegralInRange<int>(0, 5) != 0) continue;
        const auto image = std::make_shared<Image>("i", 1, true);
        const std::vector<float> embeddings(data->ConsumeIntegralInRange<size_t>(1, room), 0.5F);
        image->add_chunk(embeddings.data(), embeddings.size());
        request->images.push_back({static_cast<int32_t>(request->prompt.size()), image});
        request->prompt.insert(request->prompt.end(), image->ids().begin(), image->ids().end());
    }
    check_images(request->prompt, request->images, 1);
}

// After some tokens, as a worker sees it before it decodes the newest.
struct Moment {
    std::vector<Token> context;
    std::vector<int32_t> images;  // where they begin
    std::string text;
    Token forced;
    int64_t shift_count;
    End end;

    bool operator==(const Moment& other) const {
        return context == other.context && images == other.images && text == other.text &&
               forced == other.forced && shift_count == other.shift_count && end == other.end;
    }
};

Moment look(Sequence* sequence, std::string* text) {
    if (sequence->end() == End::kNone) sequence->make_room();
    *text += sequence->take_text();
    const auto size = static_cast<int32_t>(sequence->context().size());
    REQUIRE(size <= sequence->options().num_ctx);
    std::vector<int32_t> begins;
    int32_t behind = 0;
    for (const ImageSpan& span : sequence->images()) {
        REQUIRE(span.begin >= behind && span.end() <= size);
        const auto& ids = span.image->ids();
        REQUIRE(std::equal(ids.begin(), ids.end(), sequence->context().begin() + span.begin));
        begins.push_back(span.begin);
        behind = span.end();
    }
    const Token forced = sequence->end() == End::kNone ? sequence->forced_token() : -1;
    return {sequence->context(), begins, *text, forced, sequence->shift_count(), sequence->end()};
}

void check(FuzzedDataProvider* data) {
    LoopOptions loop;
    loop.num_ctx = data->ConsumeIntegralInRange<int32_t>(4, 40);
    loop.kv_unified = data->ConsumeBool();
    loop.check();
    JobRequest request;
    request.options = take_options(data);
    if (!resolve(&request.options, loop)) return;
    take_prompt(data, &request);
    const bool can_shift = data->ConsumeBool();
    const bool adds_bos = data->ConsumeBool();

    Sequence sequence(request, kVocabulary, can_shift, adds_bos);
    std::string text;
    std::vector<Moment> moments = {look(&sequence, &text)};
    std::vector<Token> tokens;
    while (sequence.end() == End::kNone && tokens.size() < 150) {
        const Token forced = sequence.forced_token();
        const auto drawn = data->ConsumeIntegralInRange<Token>(0, kTokens - 1);
        tokens.push_back(forced >= 0 ? forced : drawn);
        sequence.accept(tokens.back());
        moments.push_back(look(&sequence, &text));
    }

    const auto broken_at = data->ConsumeIntegralInRange<size_t>(0, tokens.size());
    request.generated.assign(tokens.begin(), tokens.begin() + static_cast<ptrdiff_t>(broken_at));
    const std::string& said = moments[broken_at].text;
    request.emitted_bytes = data->ConsumeIntegralInRange<size_t>(0, said.size());
    std::string again = said.substr(0, request.emitted_bytes);
    Sequence resumed(request, kVocabulary, can_shift, adds_bos);
    REQUIRE(look(&resumed, &again) == moments[broken_at]);
    for (size_t i = broken_at; i < tokens.size(); ++i) {
        resumed.accept(tokens[i]);
        REQUIRE(look(&resumed, &again) == moments[i + 1]);
    }
    REQUIRE(resumed.generated_count() == sequence.generated_count());
    REQUIRE(resumed.history() == sequence.history());
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::check(&data);
    return 0;
}
