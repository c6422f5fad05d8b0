// GBNF, llama.cpp's notation of grammars, read into rules.
//
// The notation: `name ::= alternatives`, one rule a line, `#` comments; "text", [classes], `.`,
// (groups), names, and behind each of these * + ? {m} {m,} {m,n}. References to tokens (`<...>`)
// are refused: a grammar is about text. What is read means what it means to llama.cpp, and a test
// holds the two together; but what is wrong is said, and what would take for ever, or all memory,
// is refused: left recursion, also behind rules that may be empty, and repetitions without measure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "characters.h"

namespace llamawire {

constexpr size_t kGrammarBytesMax = 262144;
constexpr size_t kGrammarNestingMax = 100;        // of groups
constexpr size_t kGrammarFirstMax = 1000;         // of rules that begin with rules
constexpr uint64_t kGrammarRepetitionMax = 2000;  // llama.cpp's; of nested ones, the product
// Of something that may be empty; each of them is a way of its own through the same text.
constexpr uint64_t kGrammarEmptyRepetitionMax = 16;
constexpr uint64_t kGrammarWaysMax = 2000;        // that a text can go on from one place
constexpr uint64_t kGrammarRulesMax = 10000;      // once groups and repetitions are rules
constexpr uint64_t kGrammarElementsMax = 200000;  // characters, ranges and references likewise

// One character out of a set, or a rule; as often as it says.
struct GbnfItem {
    static constexpr int32_t kCharacter = -1;
    static constexpr uint64_t kNoLimit = UINT64_MAX;

    int32_t rule = kCharacter;
    CharacterSet characters;  // of kCharacter
    uint64_t least = 1;
    uint64_t most = 1;
    size_t line = 0;  // of the text, for messages
};

using GbnfSequence = std::vector<GbnfItem>;

// A group is a rule without a name.
struct GbnfRule {
    std::string name;
    std::vector<GbnfSequence> alternatives;
    bool is_defined = false;
};

struct Gbnf {
    std::vector<GbnfRule> rules;
    int32_t root = 0;
};

// Throws Error(kInvalidArgument) that names the line or the rule and what is wrong with it.
Gbnf read_gbnf(std::string_view text, const std::string& root);

// The part of it that looks at the rules as a whole: references, recursion, ways.
void check_rules(const Gbnf& grammar);

}  // namespace llamawire
