// Tags and tokens of any bytes: an ending is said whole and once, and no later than the budget and
// a character's length allow.
#include <fuzzer/FuzzedDataProvider.h>

#include <string>
#include <vector>

#include "llamawire/thinking.h"
#include "require.h"

namespace llamawire {

namespace {

std::string take_tag(FuzzedDataProvider* data, size_t least) {
    constexpr char kLetters[] = {'<', 't', '>', ' ', '/', '\xE4', '\xBD', '\xF0'};
    std::string tag(data->ConsumeIntegralInRange<size_t>(least, 8), '\0');
    for (char& byte : tag) byte = data->PickValueInArray(kLetters);
    return tag;
}

// As JobOptions lets them in.
ThinkingOptions take_options(FuzzedDataProvider* data) {
    ThinkingOptions options;
    options.budget_tokens = data->ConsumeIntegralInRange<int32_t>(-1, 6);
    options.opening = take_tag(data, 1);
    options.closings.resize(data->ConsumeIntegralInRange<size_t>(0, 4));
    for (std::string& closing : options.closings) closing = take_tag(data, 1);
    options.is_open = data->ConsumeBool();
    options.reopens = data->ConsumeBool();
    const auto count = data->ConsumeIntegralInRange<Token>(1, 5);
    for (Token token = 0; token < count; ++token) options.ending.push_back(100 + token);
    return options;
}

void check(FuzzedDataProvider* data) {
    const ThinkingOptions options = take_options(data);
    ThinkingBudget budget(options);
    size_t said = 0;   // of the ending
    int32_t free = 0;  // tokens before it that the model chose
    for (int i = 0; i < 64; ++i) {
        const Token forced = budget.forced();
        if (forced >= 0) {
            REQUIRE(options.budget_tokens >= 0);
            REQUIRE(said < options.ending.size() && forced == options.ending[said]);
            ++said;
        } else {
            REQUIRE(said == 0 || said == options.ending.size());
            free += said == 0 ? 1 : 0;
        }
        std::string text = data->ConsumeBool() ? options.opening : take_tag(data, 0);
        if (data->ConsumeIntegralInRange<int>(0, 3) == 0) {
            text = data->ConsumeRandomLengthString(8);
        }
        budget.accept(text);
    }
    if (options.budget_tokens >= 0 && options.is_open && options.closings.empty()) {
        REQUIRE(said == options.ending.size());
        REQUIRE(free <= options.budget_tokens + ThinkingBudget::kLateTokensMax);
    }
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::check(&data);
    return 0;
}
