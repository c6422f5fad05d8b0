#include "gbnf.h"

#include <algorithm>
#include <map>
#include <utility>

#include "error.h"

namespace llamawire {

namespace {

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    Gbnf read(const std::string& root);

  private:
    // Items that a repetition behind them repeats together, and what llama.cpp makes of them.
    struct Symbol {
        GbnfSequence items;
        uint64_t elements = 0;
        uint64_t rules = 1;  // that repeating it repeats
    };

    [[noreturn]] void fail(const std::string& what) const {
        throw Error(Code::kInvalidArgument, "grammar, line " + std::to_string(line_) + ": " + what);
    }
    char peek(size_t ahead = 0) const {
        return position_ + ahead < text_.size() ? text_[position_ + ahead] : '\0';
    }
    bool at_end() const { return position_ >= text_.size(); }
    void space(bool newlines);
    void read_rule();
    void read_alternatives(int32_t rule, size_t depth);
    GbnfSequence read_sequence(size_t depth);
    Symbol read_symbol(size_t depth);
    Symbol read_text();
    Symbol read_class();
    uint32_t read_character();
    uint32_t read_utf8();
    void repeat(Symbol* symbol);
    void read_counts(uint64_t* least, uint64_t* most);
    uint64_t read_count();
    std::string read_name();
    int32_t rule_named(const std::string& name);
    int32_t add_rule(const std::string& name);
    GbnfItem item() const;
    GbnfItem as_one(GbnfSequence items);
    void grow(uint64_t rules, uint64_t elements);

    std::string_view text_;
    size_t position_ = 0;
    size_t line_ = 1;
    Gbnf grammar_;
    std::map<std::string, int32_t> names_;
    uint64_t rule_count_ = 0;
    uint64_t element_count_ = 0;
};

bool is_word(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
}

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

bool is_hex(char c) {
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

uint32_t hex_value(char c) {
    return static_cast<uint32_t>(is_digit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
}

void Reader::space(bool newlines) {
    for (; !at_end(); ++position_) {
        const char c = peek();
        if (c == '#') {
            while (position_ + 1 < text_.size() && peek(1) != '\n' && peek(1) != '\r') ++position_;
        } else if (c == '\n' && newlines) {
            ++line_;
        } else if (c != ' ' && c != '\t' && !(c == '\r' && newlines)) {
            return;
        }
    }
}

Gbnf Reader::read(const std::string& root) {
    space(true);
    while (!at_end()) read_rule();
    const auto found = names_.find(root);
    if (found == names_.end() || !grammar_.rules[found->second].is_defined) {
        throw Error(Code::kInvalidArgument, "grammar: there is no rule " + root);
    }
    grammar_.root = found->second;
    return std::move(grammar_);
}

void Reader::read_rule() {
    const std::string name = read_name();
    const int32_t rule = rule_named(name);
    if (grammar_.rules[rule].is_defined) {
        fail("the rule " + name + " has been defined before");
    }
    grammar_.rules[rule].is_defined = true;
    space(false);
    if (text_.substr(position_, 3) != "::=") fail("expected ::= after the name of a rule");
    position_ += 3;
    space(true);
    read_alternatives(rule, 0);
    if (!at_end() && peek() != '\n' && peek() != '\r') {
        fail(std::string("unexpected ") + peek() + " in the rule " + name);
    }
    space(true);
}

void Reader::read_alternatives(int32_t rule, size_t depth) {
    std::vector<GbnfSequence> alternatives = {read_sequence(depth)};
    while (peek() == '|') {
        ++position_;
        grow(0, 1);
        space(true);
        alternatives.push_back(read_sequence(depth));
    }
    grow(0, 1);
    grammar_.rules[rule].alternatives = std::move(alternatives);
}

GbnfSequence Reader::read_sequence(size_t depth) {
    GbnfSequence sequence;
    for (;;) {
        const char c = peek();
        if (c == '\0' && !at_end()) fail("a NUL character");
        if (c == '<' || c == '!') fail("references to tokens (<...>) are not supported");
        const bool begins = c == '"' || c == '[' || c == '(' || c == '.' || is_word(c);
        if (!begins) {
            if (c == '*' || c == '+' || c == '?' || c == '{') fail("nothing to repeat");
            return sequence;
        }
        Symbol symbol = read_symbol(depth);
        space(depth > 0);
        grow(0, symbol.elements);
        while (peek() == '*' || peek() == '+' || peek() == '?' || peek() == '{') {
            if (symbol.elements == 0) fail("nothing to repeat");
            repeat(&symbol);
            space(depth > 0);
        }
        for (GbnfItem& item : symbol.items) sequence.push_back(std::move(item));
    }
}

Reader::Symbol Reader::read_symbol(size_t depth) {
    if (peek() == '"') return read_text();
    if (peek() == '[') return read_class();
    Symbol symbol;
    symbol.elements = 1;
    symbol.items.push_back(item());
    GbnfItem& only = symbol.items.front();
    if (peek() == '.') {
        ++position_;
        only.characters = make_set({}, true);
    } else if (peek() == '(') {
        if (depth >= kGrammarNestingMax) {
            fail("groups are nested deeper than " + std::to_string(kGrammarNestingMax));
        }
        ++position_;
        space(true);
        const uint64_t before = rule_count_;
        only.rule = add_rule("");
        grow(1, 0);
        read_alternatives(only.rule, depth + 1);
        if (peek() != ')') fail("expected )");
        ++position_;
        symbol.rules = rule_count_ - before;
    } else {
        only.rule = rule_named(read_name());
    }
    return symbol;
}

Reader::Symbol Reader::read_text() {
    Symbol symbol;
    for (++position_; peek() != '"'; ++symbol.elements) {
        if (at_end() || peek() == '\n') fail("a text without its closing quote");
        symbol.items.push_back(item());
        const uint32_t character = read_character();
        symbol.items.back().characters = make_set({{character, character}}, false);
    }
    ++position_;
    return symbol;
}

Reader::Symbol Reader::read_class() {
    Symbol symbol;
    ++position_;
    const bool is_negated = peek() == '^';
    if (is_negated) ++position_;
    std::vector<CharacterRange> ranges;
    for (; peek() != ']'; ++symbol.elements) {
        if (at_end() || peek() == '\n') fail("a class without its closing ]");
        const uint32_t first = read_character();
        uint32_t last = first;
        if (peek() == '-' && peek(1) != ']') {
            ++position_;
            last = read_character();
            ++symbol.elements;
        }
        ranges.push_back({first, last});
    }
    ++position_;
    if (symbol.elements == 0) fail("an empty class");
    symbol.items.push_back(item());
    symbol.items.back().characters = make_set(std::move(ranges), is_negated);
    return symbol;
}

uint32_t Reader::read_character() {
    if (at_end()) fail("unexpected end");
    if (peek() == '\0') fail("a NUL character");
    if (peek() != '\\') return read_utf8();
    const char kind = peek(1);
    const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    constexpr std::string_view kEscapes = "trn\\\"[]-";
    constexpr std::string_view kMeanings = "\t\r\n\\\"[]-";
    const size_t escape = kind == '\0' ? std::string_view::npos : kEscapes.find(kind);
    position_ += 2;
    if (digits == 0 && escape == std::string_view::npos) {
        fail(std::string("unknown escape \\") + kind);
    }
    if (digits == 0) return static_cast<unsigned char>(kMeanings[escape]);
    uint32_t character = 0;
    for (size_t i = 0; i < digits; ++i, ++position_) {
        if (!is_hex(peek())) {
            fail(std::string("\\") + kind + " needs " + std::to_string(digits) + " hex digits");
        }
        character = character << 4U | hex_value(peek());
    }
    return character;
}

uint32_t Reader::read_utf8() {
    const auto lead = static_cast<unsigned char>(peek());
    ++position_;
    if (lead < 0x80) return lead;
    const int behind = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : 1;
    uint32_t character = lead & (0x3FU >> behind);
    for (int i = 0; i < behind; ++i, ++position_) {
        const auto byte = static_cast<unsigned char>(peek());
        if (lead < 0xC2 || lead > 0xF4 || (byte & 0xC0U) != 0x80U) fail("a text that is not UTF-8");
        character = character << 6U | (byte & 0x3FU);
    }
    return character;
}

// As llama.cpp does it: what is there at least is copied, each further one is a rule.
void Reader::repeat(Symbol* symbol) {
    uint64_t least = 0;
    uint64_t most = GbnfItem::kNoLimit;
    read_counts(&least, &most);
    const bool is_bounded = most != GbnfItem::kNoLimit;
    const uint64_t largest = std::max(least, is_bounded ? most : 0);
    if (is_bounded && most < least) fail("a repetition whose limit is below its beginning");
    if (largest > kGrammarRepetitionMax ||
        symbol->rules * std::max<uint64_t>(largest, 1) > kGrammarRepetitionMax) {
        fail("more than " + std::to_string(kGrammarRepetitionMax) + " repetitions");
    }
    const uint64_t further = is_bounded ? most - least : 1;
    const uint64_t elements = least * symbol->elements + (further > 0 ? 1 : 0);
    grow(further, least * symbol->elements + further * (symbol->elements + 3));
    symbol->rules *= std::max<uint64_t>(largest, 1);
    symbol->elements = elements;
    GbnfItem repeated = as_one(std::move(symbol->items));
    repeated.least = least;
    repeated.most = most;
    symbol->items.clear();
    if (most > 0) symbol->items.push_back(std::move(repeated));
}

GbnfItem Reader::item() const {
    GbnfItem item;
    item.line = line_;
    return item;
}

// What is more than one item, or repeated already, becomes a group.
GbnfItem Reader::as_one(GbnfSequence items) {
    if (items.size() == 1 && items[0].least == 1 && items[0].most == 1) return std::move(items[0]);
    GbnfItem group = item();
    group.rule = add_rule("");
    grammar_.rules[group.rule].alternatives.push_back(std::move(items));
    return group;
}

void Reader::read_counts(uint64_t* least, uint64_t* most) {
    const char kind = peek();
    ++position_;
    if (kind == '+') *least = 1;
    if (kind == '?') *most = 1;
    if (kind != '{') return;
    space(false);
    *least = read_count();
    space(false);
    if (peek() == ',') {
        ++position_;
        space(false);
        if (is_digit(peek())) *most = read_count();
        space(false);
    } else {
        *most = *least;
    }
    if (peek() != '}') fail("expected }");
    ++position_;
}

uint64_t Reader::read_count() {
    if (!is_digit(peek())) fail("expected a number in {}");
    uint64_t count = 0;
    for (; is_digit(peek()); ++position_) {
        count = std::min<uint64_t>(count * 10 + static_cast<uint64_t>(peek() - '0'), 1U << 30U);
    }
    return count;
}

std::string Reader::read_name() {
    const size_t begin = position_;
    while (is_word(peek())) ++position_;
    if (position_ == begin) fail("expected the name of a rule");
    return std::string(text_.substr(begin, position_ - begin));
}

int32_t Reader::rule_named(const std::string& name) {
    const auto found = names_.find(name);
    if (found != names_.end()) return found->second;
    grow(1, 0);
    const int32_t rule = add_rule(name);
    grammar_.rules[rule].is_defined = false;
    return names_[name] = rule;
}

int32_t Reader::add_rule(const std::string& name) {
    grammar_.rules.push_back({name, {}, true});
    return static_cast<int32_t>(grammar_.rules.size()) - 1;
}

void Reader::grow(uint64_t rules, uint64_t elements) {
    rule_count_ += rules;
    element_count_ += elements;
    if (rule_count_ > kGrammarRulesMax) {
        fail("the grammar is too large: more than " + std::to_string(kGrammarRulesMax) +
             " rules once its repetitions are written out");
    }
    if (element_count_ > kGrammarElementsMax) {
        fail("the grammar is too large: more than " + std::to_string(kGrammarElementsMax) +
             " elements once its repetitions are written out");
    }
}

}  // namespace

Gbnf read_gbnf(std::string_view text, const std::string& root) {
    if (text.size() > kGrammarBytesMax) {
        throw Error(Code::kInvalidArgument, "grammar: " + std::to_string(text.size()) +
                                                " bytes; at most " +
                                                std::to_string(kGrammarBytesMax) + " are allowed");
    }
    if (text.substr(0, 11) == "%llguidance") {
        throw Error(Code::kInvalidArgument, "grammar: %llguidance is not supported; write GBNF");
    }
    Gbnf grammar = Reader(text).read(root);
    check_rules(grammar);
    return grammar;
}

}  // namespace llamawire
