#include "llamawire/thinking.h"

#include <doctest/doctest.h>

#include <string>
#include <vector>

namespace llamawire {

namespace {

constexpr Token kEnding = 7;

ThinkingOptions options(int32_t budget_tokens) {
    ThinkingOptions options;
    options.budget_tokens = budget_tokens;
    options.opening = "<think>";
    options.closings = {"</think>", "<call>"};
    options.ending = {kEnding, kEnding + 1};
    return options;
}

// What is forced before each of the texts, and after the last.
std::vector<Token> forced(const ThinkingOptions& options, const std::vector<std::string>& texts) {
    ThinkingBudget budget(options);
    std::vector<Token> found = {budget.forced()};
    for (const std::string& text : texts) {
        budget.accept(text);
        found.push_back(budget.forced());
    }
    return found;
}

}  // namespace

TEST_CASE("the ending is forced when the budget is used up, and once") {
    const std::vector<Token> expected = {-1, -1, -1, kEnding, kEnding + 1, -1, -1, -1, -1};
    CHECK(forced(options(2), {"<think>", "a", "b", "x", "y", "c", "<think>", "d"}) == expected);
}

TEST_CASE("the tag may come in pieces, behind blank space, and with text behind it") {
    const std::vector<Token> expected = {-1, -1, -1, -1, kEnding};
    CHECK(forced(options(1), {" \n<th", "in", "k>so", "a"}) == expected);
}

TEST_CASE("a budget of none ends the thinking where it begins") {
    CHECK(forced(options(0), {"<think>"}) == std::vector<Token>{-1, kEnding});
    ThinkingOptions open = options(0);
    open.is_open = true;
    CHECK(forced(open, {"x", "y"}) == std::vector<Token>{kEnding, kEnding + 1, -1});
}

TEST_CASE("thinking that ends by itself, or never begins, is left alone") {
    const std::vector<Token> nothing(6, -1);
    CHECK(forced(options(2), {"<think>", "a</", "think>b", "c", "d"}) == nothing);
    CHECK(forced(options(2), {"<think>", "a<cal", "l>b", "c", "d"}) == nothing);
    CHECK(forced(options(2), {"Well, ", "<think>", "a", "b", "c"}) == nothing);
    CHECK(forced(options(-1), {"<think>", "a", "b", "c", "d"}) == nothing);
}

TEST_CASE("where thinking reopens, all of it counts") {
    ThinkingOptions channels = options(2);
    channels.reopens = true;
    const std::vector<Token> expected = {-1, -1, -1, -1, -1, -1, kEnding};
    CHECK(forced(channels, {"to=x", "<think>", "</think>", "b", "<think>", "c"}) == expected);
}

TEST_CASE("the ending waits for a whole character, though not for ever") {
    const std::vector<Token> expected = {-1, -1, -1, -1, kEnding};
    CHECK(forced(options(1), {"<think>", "\xE4", "\xBD", "\xA0"}) == expected);
    const std::vector<Token> patient = {-1, -1, -1, -1, -1, kEnding};
    CHECK(forced(options(1), {"<think>", "\xF0", "\xF0", "\xF0", "\xF0"}) == patient);
}

}  // namespace llamawire
