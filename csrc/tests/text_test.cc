#include "llamawire/text.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace llamawire {

namespace {

using Strings = std::vector<std::string>;

struct Shown {
    std::string text;
    Strings pieces;  // what each token let go, empty ones too
    bool stopped = false;
};

Shown show(const Strings& pieces, const Strings& stops, uint64_t skip_bytes = 0) {
    Text text(stops, skip_bytes);
    Shown shown;
    for (const std::string& piece : pieces) {
        shown.stopped = text.feed(piece);
        shown.pieces.push_back(text.take());
        if (shown.stopped) break;
    }
    if (!shown.stopped) {
        shown.stopped = text.finish();
        shown.pieces.push_back(text.take());
    }
    for (const std::string& piece : shown.pieces) shown.text += piece;
    return shown;
}

// The text before the earliest stop string, found the slow way.
std::string reference(const std::string& whole, const Strings& stops) {
    size_t cut = whole.size();
    for (const std::string& stop : stops) cut = std::min(cut, whole.find(stop));
    return whole.substr(0, cut);
}

Strings characters(const std::string& text) {
    Strings pieces;
    for (char c : text) pieces.emplace_back(1, c);
    return pieces;
}

}  // namespace

TEST_CASE("text without stop strings passes at once") {
    CHECK(show({"Hel", "lo", " world"}, {}).pieces == Strings{"Hel", "lo", " world", ""});
}

TEST_CASE("the text ends before a stop string within a token") {
    const Shown shown = show({"Once", " little", " more"}, {"little"});
    CHECK(shown.text == "Once ");
    CHECK(shown.stopped);
}

TEST_CASE("what may begin a stop string is held back and comes with the following token") {
    const Shown shown = show({"a", "<e", "nd", "x", "y"}, {"<end>"});
    CHECK(shown.pieces == Strings{"a", "", "", "<endx", "y", ""});
    CHECK_FALSE(shown.stopped);
}

TEST_CASE("a part that is no longer possible is let go, the rest stays") {
    CHECK(show({"aab", "aabc"}, {"aabc"}).text == "aab");
    CHECK(show({"aaab", "c"}, {"aabc"}).text == "a");
    CHECK(show({"aab", "aab"}, {"aabc"}).pieces == Strings{"", "aab", "aab"});
}

TEST_CASE("what is held back at the end is shown") {
    CHECK(show({"abc", "<en"}, {"<end>"}).text == "abc<en");
}

TEST_CASE("of two stop strings the one that begins first wins") {
    CHECK(show({"xabcdy"}, {"bc", "abcd"}).text == "x");
    CHECK(show(characters("xabcdy"), {"bc", "abcd"}).text == "x");
    // The longer one never completes, so the shorter one cuts after all.
    const Shown shown = show(characters("xabcey"), {"bc", "abcd"});
    CHECK(shown.text == "xa");
    CHECK(shown.stopped);
    const Shown at_end = show(characters("xabc"), {"bc", "abcd"});
    CHECK(at_end.text == "xa");
    CHECK(at_end.stopped);
}

TEST_CASE("a character comes whole, wherever its bytes are cut") {
    const std::string text = "h\xC3\xA9\xE4\xBD\xA0\xF0\x9F\x98\x80!";
    CHECK(show(characters(text), {}).text == text);
    CHECK(show({"\xE4", "\xBD", "\xA0"}, {}).pieces == Strings{"", "", "\xE4\xBD\xA0", ""});
}

TEST_CASE("half a character at the end becomes U+FFFD") {
    CHECK(show({"a", "\xE4\xBD"}, {}).text == "a\xEF\xBF\xBD");
    CHECK(show({"a\xE4", "STOP"}, {"STOP"}).text == "a\xEF\xBF\xBD");
}

TEST_CASE("bytes that are no character become U+FFFD one by one, as Unicode advises") {
    CHECK(show({"\x80"}, {}).text == "\xEF\xBF\xBD");
    CHECK(show({"\xC0\xAF"}, {}).text == "\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK(show({"\xE4\xBDz"}, {}).text == "\xEF\xBF\xBDz");
    CHECK(show({"\xED\xA0\x80"}, {}).text == "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD");
    CHECK(show({"\xF5"}, {}).text == "\xEF\xBF\xBD");
    CHECK(show({"\xE4\xE4\xBD\xA0"}, {}).text == "\xEF\xBF\xBD\xE4\xBD\xA0");
}

TEST_CASE("bytes that were delivered before do not come again") {
    const Strings pieces = {"ab", "\xE4\xBD", "\xA0", "cd"};
    const std::string whole =
        "ab\xE4\xBD\xA0"
        "cd";
    for (size_t skip = 0; skip <= whole.size(); ++skip) {
        CHECK(show(pieces, {"zz"}, skip).text == whole.substr(skip));
    }
}

TEST_CASE("the text does not depend on where tokens are cut") {
    std::mt19937 random(7);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<unsigned>(n)); };
    const auto word = [&](int length) {
        std::string text;
        for (int i = 0; i < length; ++i) text += "ab\xC3\xA9"[below(4)];
        return text;
    };
    for (int round = 0; round < 20000; ++round) {
        const std::string whole = word(below(24));
        Strings stops;
        for (int i = below(4); i > 0; --i) stops.push_back(word(1 + below(5)));
        Strings pieces;
        for (size_t at = 0; at < whole.size();) {
            const size_t length = 1 + static_cast<size_t>(below(6));
            pieces.push_back(whole.substr(at, length));
            at += length;
        }
        std::string expected;
        Utf8Gate gate;
        gate.feed(reference(whole, stops), &expected);
        gate.finish(&expected);
        const Shown shown = show(pieces, stops);
        REQUIRE(shown.text == expected);
        REQUIRE(shown.stopped == (reference(whole, stops).size() < whole.size()));
    }
}

}  // namespace llamawire
