// GBNF, llama.cpp's notation of grammars, looked at before llama.cpp sees it.
//
// llama.cpp's parser says what is wrong on stderr only, recurses as deep as the text is nested,
// turns a repetition beyond its limit into one without limit, and loops for ever over a left
// recursion that hides behind rules which may be empty. So the text is read here first; what
// passes is in order, and small enough to be expanded.
//
// The notation: `name ::= alternatives`, one rule a line, `#` comments; "text", [classes], `.`,
// (groups), names, and behind each of these * + ? {m} {m,} {m,n}. References to tokens (`<...>`)
// are refused: a grammar is about text.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace llamawire {

constexpr size_t kGrammarBytesMax = 262144;
constexpr size_t kGrammarNestingMax = 100;        // of groups
constexpr size_t kGrammarFirstMax = 1000;         // of rules that begin with rules
constexpr uint64_t kGrammarRepetitionMax = 2000;  // llama.cpp's; of nested ones, the product
// Of something that may be empty; each of them is a way of its own through the same text.
constexpr uint64_t kGrammarEmptyRepetitionMax = 16;
// Ways that a text can go on from one place; llama.cpp compares each with each.
constexpr uint64_t kGrammarWaysMax = 2000;
constexpr uint64_t kGrammarRulesMax = 10000;      // once groups and repetitions are rules
constexpr uint64_t kGrammarElementsMax = 200000;  // characters, ranges and references likewise

// Throws Error(kInvalidArgument) that names the line or the rule and what is wrong with it.
void check_gbnf(std::string_view text, const std::string& root);

}  // namespace llamawire
