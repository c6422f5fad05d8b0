#include "llamawire/gbnf.h"

#include <doctest/doctest.h>

#include <string>

#include "llamawire/error.h"

namespace llamawire {

namespace {

// What is wrong with the text; empty: nothing.
std::string fault(const std::string& text) {
    try {
        read_gbnf(text, "root");
        return "";
    } catch (const Error& error) {
        CHECK(error.code() == Code::kInvalidArgument);
        return error.what();
    }
}

bool tells(const std::string& text, const std::string& expected) {
    const std::string told = fault(text);
    INFO(told);
    return told.find(expected) != std::string::npos;
}

std::string times(const std::string& text, int count) {
    std::string all;
    for (int i = 0; i < count; ++i) all += text;
    return all;
}

}  // namespace

TEST_CASE("what the notation allows is in order") {
    CHECK(fault("root ::= \"a\"") == "");
    CHECK(fault("# a comment\nroot ::= a | # another\n  b\na ::= [a-z\\]\\-] .\r\nb ::= (\n\"x\" |"
                "\n[^\\x00-\\x1F\\u00e9\\U0001F600])+ \"\"\n\n") == "");
    CHECK(fault("root ::= x{3} x{1,} x{0,2} x? x* x+\nx ::= \"\\\"\\\\\\n\" [-] [a-]") == "");
    CHECK(fault("root ::= \"a\" root | \"b\"") == "");
    CHECK(fault("root ::= (\"a\"?)* \"b\"") == "");
    CHECK(fault("root ::= \"a\"\n   |\"b\"").find("line 2") != std::string::npos);
}

TEST_CASE("what is wrong is named with its line") {
    CHECK(tells("root ::= \"a\"\nroot ::= \"b\"", "line 2: the rule root has been defined before"));
    CHECK(tells("root = \"a\"", "expected ::="));
    CHECK(tells("\nroot ::= \"a", "line 2: a text without its closing quote"));
    CHECK(tells("root ::= [a", "a class without its closing ]"));
    CHECK(tells("root ::= []", "an empty class"));
    CHECK(tells("root ::= (\"a\"", "expected )"));
    CHECK(tells("root ::= \"a\")", "unexpected )"));
    CHECK(tells("root ::= *", "nothing to repeat"));
    CHECK(tells("root ::= \"\"+", "nothing to repeat"));
    CHECK(tells("root ::= \"a\"{x}", "expected a number"));
    CHECK(tells("root ::= \"a\"{3,2}", "below its beginning"));
    CHECK(tells("root ::= \"\\q\"", "unknown escape \\q"));
    CHECK(tells("root ::= \"\\u12\"", "needs 4 hex digits"));
    CHECK(tells("root ::= <think>", "references to tokens"));
    CHECK(tells("root ::= !<[7]>", "references to tokens"));
    CHECK(tells("rot ::= \"a\"", "there is no rule root"));
    CHECK(tells("root ::= nope", "the rule nope is not defined"));
    CHECK(tells("", "there is no rule root"));
    CHECK(tells("%llguidance {}", "%llguidance is not supported"));
}

TEST_CASE("limits are named") {
    CHECK(tells("root ::= \"" + times("a", static_cast<int>(kGrammarBytesMax)) + "\"", "bytes"));
    CHECK(tells("root ::= " + times("(", 200) + "\"a\"" + times(")", 200), "nested deeper"));
    CHECK(tells("root ::= \"a\"{2001}", "more than 2000 repetitions"));
    CHECK(tells("root ::= \"a\"{0,2001}", "more than 2000 repetitions"));
    CHECK(tells("root ::= \"a\"{99999999999999999999}", "more than 2000 repetitions"));
    CHECK(tells("root ::= ((\"a\"{0,100}){0,100})", "more than 2000 repetitions"));
    CHECK(tells("root ::= \"" + times("a", 1000) + "\"{2000}", "the grammar is too large"));
    CHECK(tells("root ::= " + times("\"a\"{0,2000} ", 6), "more than 10000 rules"));
    CHECK(tells("root ::= (\"a\"?){0,100}", "what may be empty"));
    CHECK(tells("root ::= x{100}\nx ::= y y\ny ::= \"a\"*", "what may be empty"));
    std::string chain = "root ::= r0\n";
    for (int i = 0; i < 2000; ++i) {
        chain += "r" + std::to_string(i) + " ::= r" + std::to_string(i + 1) + "\n";
    }
    CHECK(tells(chain + "r2000 ::= \"a\"", "rules are nested deeper"));
}

TEST_CASE("a text that can go on in too many ways is refused") {
    CHECK(tells("root ::= x{16}\nx ::= y{16}\ny ::= z{16}\nz ::= \"a\"?", "ways"));
    CHECK(tells("root ::= \"a\" (" + times("\"a\" | ", 2000) + "\"b\")", "ways"));
    CHECK(fault("root ::= \"a\"{0,1900}") == "");
    CHECK(fault("root ::= x{0,1900}\nx ::= \"a\" \"b\"?") == "");
}

TEST_CASE("left recursion is refused, also behind rules that may be empty") {
    CHECK(tells("root ::= root \"a\" | \"b\"", "left recursion"));
    CHECK(tells("root ::= a\na ::= b \"x\"\nb ::= a | \"y\"", "left recursion"));
    // llama.cpp does not see this one and never returns.
    CHECK(tells("root ::= e e root \"b\" | \"c\"\ne ::= f f\nf ::= \"\"", "left recursion"));
    CHECK(tells("root ::= \"x\"? root | \"c\"", "left recursion"));
    CHECK(tells("root ::= (root)* \"c\"", "left recursion"));
}

}  // namespace llamawire
