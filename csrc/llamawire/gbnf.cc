#include "gbnf.h"

#include <algorithm>
#include <cassert>
#include <map>
#include <vector>

#include "error.h"

namespace llamawire {

namespace {

constexpr int32_t kTerminal = -1;
constexpr uint64_t kNoLimit = UINT64_MAX;

// What is left of a grammar for the questions asked of it: which rules refer to which, and what may
// be empty. A group is a rule without a name.
struct Item {
    int32_t rule = kTerminal;
    bool may_skip = false;  // repeated from 0 times
    uint64_t repeats = 1;   // at most; 1 without a limit, where one way leads back to the other
};
using Sequence = std::vector<Item>;
struct Rule {
    std::vector<Sequence> alternatives;
    bool is_defined = false;
    bool may_be_empty = false;
    bool is_seen = false;  // these two: by check_left_recursion
    bool is_on_path = false;
    uint64_t ways = 0;  // to begin it; 0: not counted yet
};
struct Repetition {
    int32_t rule;
    size_t line;
};

class Reader {
  public:
    explicit Reader(std::string_view text) : text_(text) {}

    void read();
    void check_references(const std::string& root) const;
    void find_empty();
    void check_repetitions() const;
    void check_left_recursion();
    void check_ways();

  private:
    // A symbol of a sequence and what llama.cpp will make of it.
    struct Symbol {
        Item item;
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
    Sequence read_sequence(size_t depth);
    Symbol read_symbol(size_t depth);
    Symbol read_text();
    Symbol read_class();
    void read_character();
    void repeat(Symbol* symbol);
    void read_counts(uint64_t* least, uint64_t* most);
    uint64_t read_count();
    std::string read_name();
    int32_t rule_named(const std::string& name);
    int32_t new_rule();
    void grow(uint64_t rules, uint64_t elements);
    std::string name_of(int32_t rule) const;
    bool is_empty(const Sequence& sequence) const;
    std::vector<int32_t> first_rules(const Rule& rule) const;
    uint64_t ways_of(int32_t rule);
    uint64_t ways_from(const Sequence& sequence, size_t begin);

    std::string_view text_;
    size_t position_ = 0;
    size_t line_ = 1;
    std::vector<Rule> rules_;
    std::map<std::string, int32_t> names_;
    std::vector<Repetition> repetitions_;  // many times, of something that may not be empty
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

void Reader::read() {
    space(true);
    while (!at_end()) read_rule();
}

void Reader::read_rule() {
    const int32_t rule = rule_named(read_name());
    if (rules_[rule].is_defined) fail("the rule " + name_of(rule) + " has been defined before");
    rules_[rule].is_defined = true;
    space(false);
    if (text_.substr(position_, 3) != "::=") fail("expected ::= after the name of a rule");
    position_ += 3;
    space(true);
    read_alternatives(rule, 0);
    if (!at_end() && peek() != '\n' && peek() != '\r') {
        fail(std::string("unexpected ") + peek() + " in the rule " + name_of(rule));
    }
    space(true);
}

void Reader::read_alternatives(int32_t rule, size_t depth) {
    std::vector<Sequence> alternatives = {read_sequence(depth)};
    while (peek() == '|') {
        ++position_;
        grow(0, 1);
        space(true);
        alternatives.push_back(read_sequence(depth));
    }
    grow(0, 1);
    rules_[rule].alternatives = std::move(alternatives);
}

Sequence Reader::read_sequence(size_t depth) {
    Sequence sequence;
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
        if (symbol.elements > 0) sequence.push_back(symbol.item);
    }
}

Reader::Symbol Reader::read_symbol(size_t depth) {
    if (peek() == '"') return read_text();
    if (peek() == '[') return read_class();
    Symbol symbol;
    symbol.elements = 1;
    if (peek() == '.') {
        ++position_;
    } else if (peek() == '(') {
        if (depth >= kGrammarNestingMax) {
            fail("groups are nested deeper than " + std::to_string(kGrammarNestingMax));
        }
        ++position_;
        space(true);
        const uint64_t before = rule_count_;
        symbol.item.rule = new_rule();
        rules_[symbol.item.rule].is_defined = true;
        read_alternatives(symbol.item.rule, depth + 1);
        if (peek() != ')') fail("expected )");
        ++position_;
        symbol.rules = rule_count_ - before;
    } else {
        symbol.item.rule = rule_named(read_name());
    }
    return symbol;
}

Reader::Symbol Reader::read_text() {
    Symbol symbol;
    for (++position_; peek() != '"'; ++symbol.elements) {
        if (at_end() || peek() == '\n') fail("a text without its closing quote");
        read_character();
    }
    ++position_;
    return symbol;
}

Reader::Symbol Reader::read_class() {
    Symbol symbol;
    ++position_;
    if (peek() == '^') ++position_;
    for (; peek() != ']'; ++symbol.elements) {
        if (at_end() || peek() == '\n') fail("a class without its closing ]");
        read_character();
        if (peek() == '-' && peek(1) != ']') {
            ++position_;
            read_character();
            ++symbol.elements;
        }
    }
    ++position_;
    if (symbol.elements == 0) fail("an empty class");
    return symbol;
}

void Reader::read_character() {
    if (at_end()) fail("unexpected end");
    const auto byte = static_cast<unsigned char>(peek());
    if (byte == 0) fail("a NUL character");
    if (byte != '\\') {
        ++position_;
        while ((static_cast<unsigned char>(peek()) & 0xC0U) == 0x80U) ++position_;
        return;
    }
    const char kind = peek(1);
    const size_t digits = kind == 'x' ? 2 : kind == 'u' ? 4 : kind == 'U' ? 8 : 0;
    if (digits == 0 &&
        (kind == '\0' || std::string_view("trn\\\"[]-").find(kind) == std::string_view::npos)) {
        fail(std::string("unknown escape \\") + kind);
    }
    position_ += 2;
    for (size_t i = 0; i < digits; ++i, ++position_) {
        if (!is_hex(peek())) {
            fail(std::string("\\") + kind + " needs " + std::to_string(digits) + " hex digits");
        }
    }
}

// As llama.cpp does it: what is there at least is copied, each further one is a rule.
void Reader::repeat(Symbol* symbol) {
    uint64_t least = 0;
    uint64_t most = kNoLimit;
    const size_t line = line_;
    read_counts(&least, &most);
    const bool is_bounded = most != kNoLimit;
    const uint64_t largest = std::max(least, is_bounded ? most : 0);
    if (is_bounded && most < least) fail("a repetition whose limit is below its beginning");
    if (largest > kGrammarRepetitionMax ||
        symbol->rules * std::max<uint64_t>(largest, 1) > kGrammarRepetitionMax) {
        fail("more than " + std::to_string(kGrammarRepetitionMax) + " repetitions");
    }
    if (largest > kGrammarEmptyRepetitionMax && symbol->item.rule != kTerminal) {
        repetitions_.push_back({symbol->item.rule, line});
    }
    const uint64_t further = is_bounded ? most - least : 1;
    const uint64_t elements = least * symbol->elements + (further > 0 ? 1 : 0);
    grow(further, least * symbol->elements + further * (symbol->elements + 3));
    symbol->rules *= std::max<uint64_t>(largest, 1);
    symbol->elements = elements;
    symbol->item.may_skip = symbol->item.may_skip || least == 0;
    if (is_bounded) symbol->item.repeats *= std::max<uint64_t>(largest, 1);
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
    return names_[name] = new_rule();
}

int32_t Reader::new_rule() {
    grow(1, 0);
    rules_.emplace_back();
    return static_cast<int32_t>(rules_.size()) - 1;
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

std::string Reader::name_of(int32_t rule) const {
    for (const auto& [name, index] : names_) {
        if (index == rule) return name;
    }
    return "(group)";
}

void Reader::check_references(const std::string& root) const {
    const auto found = names_.find(root);
    if (found == names_.end() || !rules_[found->second].is_defined) {
        throw Error(Code::kInvalidArgument, "grammar: there is no rule " + root);
    }
    for (const auto& [name, index] : names_) {
        if (!rules_[index].is_defined) {
            throw Error(Code::kInvalidArgument, "grammar: the rule " + name + " is not defined");
        }
    }
}

bool Reader::is_empty(const Sequence& sequence) const {
    return std::all_of(sequence.begin(), sequence.end(), [this](const Item& item) {
        return item.may_skip || (item.rule != kTerminal && rules_[item.rule].may_be_empty);
    });
}

void Reader::find_empty() {
    for (bool changed = true; changed;) {
        changed = false;
        for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
            if (rule->may_be_empty) continue;
            rule->may_be_empty =
                std::any_of(rule->alternatives.begin(), rule->alternatives.end(),
                            [this](const Sequence& sequence) { return is_empty(sequence); });
            changed = changed || rule->may_be_empty;
        }
    }
}

void Reader::check_repetitions() const {
    for (const Repetition& repetition : repetitions_) {
        if (!rules_[repetition.rule].may_be_empty) continue;
        throw Error(Code::kInvalidArgument, "grammar, line " + std::to_string(repetition.line) +
                                                ": what may be empty can be repeated at most " +
                                                std::to_string(kGrammarEmptyRepetitionMax) +
                                                " times");
    }
}

// The rules that a rule may begin with.
std::vector<int32_t> Reader::first_rules(const Rule& rule) const {
    std::vector<int32_t> first;
    for (const Sequence& sequence : rule.alternatives) {
        for (const Item& item : sequence) {
            if (item.rule != kTerminal) first.push_back(item.rule);
            if (!is_empty({item})) break;
        }
    }
    return first;
}

// Depth first, with the path in hand.
void Reader::check_left_recursion() {
    struct Step {
        int32_t rule;
        std::vector<int32_t> first;
    };
    std::vector<Step> path;
    const auto enter = [&](int32_t rule) {
        rules_[rule].is_on_path = true;
        rules_[rule].is_seen = true;
        path.push_back({rule, first_rules(rules_[rule])});
    };
    for (int32_t start = 0; start < static_cast<int32_t>(rules_.size()); ++start) {
        if (!rules_[start].is_seen) enter(start);
        while (!path.empty()) {
            if (path.size() > kGrammarFirstMax) {
                throw Error(Code::kInvalidArgument,
                            "grammar: rules that begin with rules are "
                            "nested deeper than " +
                                std::to_string(kGrammarFirstMax));
            }
            if (path.back().first.empty()) {
                rules_[path.back().rule].is_on_path = false;
                path.pop_back();
                continue;
            }
            const int32_t rule = path.back().first.back();
            path.back().first.pop_back();
            if (rules_[rule].is_on_path) {
                throw Error(Code::kInvalidArgument, "grammar: left recursion: the rule " +
                                                        name_of(rule) + " may begin with itself");
            }
            if (!rules_[rule].is_seen) enter(rule);
        }
    }
}

// Without left recursion this ends.
uint64_t Reader::ways_of(int32_t rule) {
    if (rule == kTerminal) return 1;
    if (rules_[rule].ways == 0) {
        uint64_t ways = 0;
        for (const Sequence& sequence : rules_[rule].alternatives) ways += ways_from(sequence, 0);
        rules_[rule].ways = std::clamp<uint64_t>(ways, 1, kGrammarWaysMax + 1);
    }
    return rules_[rule].ways;
}

// Of the items up to the first that cannot be empty; where an item may be, each of its repetitions
// is a way of its own.
uint64_t Reader::ways_from(const Sequence& sequence, size_t begin) {
    uint64_t ways = 0;
    for (size_t i = begin; i < sequence.size() && ways <= kGrammarWaysMax; ++i) {
        const Item& item = sequence[i];
        const bool is_hollow = item.rule != kTerminal && rules_[item.rule].may_be_empty;
        ways += ways_of(item.rule) * (is_hollow ? item.repeats : 1);
        if (!is_hollow && !item.may_skip) break;
    }
    return ways;
}

void Reader::check_ways() {
    for (size_t rule = 0; rule < rules_.size(); ++rule) {
        uint64_t most = ways_of(static_cast<int32_t>(rule));
        for (const Sequence& sequence : rules_[rule].alternatives) {
            for (size_t i = 1; i < sequence.size(); ++i) {
                most = std::max(most, ways_from(sequence, i));
            }
        }
        if (most > kGrammarWaysMax) {
            throw Error(Code::kInvalidArgument, "grammar: in the rule " +
                                                    name_of(static_cast<int32_t>(rule)) +
                                                    " a text can go on in more than " +
                                                    std::to_string(kGrammarWaysMax) + " ways");
        }
    }
}

}  // namespace

void check_gbnf(std::string_view text, const std::string& root) {
    if (text.size() > kGrammarBytesMax) {
        throw Error(Code::kInvalidArgument, "grammar: " + std::to_string(text.size()) +
                                                " bytes; at most " +
                                                std::to_string(kGrammarBytesMax) + " are allowed");
    }
    if (text.substr(0, 11) == "%llguidance") {
        throw Error(Code::kInvalidArgument, "grammar: %llguidance is not supported; write GBNF");
    }
    Reader reader(text);
    reader.read();
    reader.check_references(root);
    reader.find_empty();
    reader.check_repetitions();
    reader.check_left_recursion();
    reader.check_ways();
}

}  // namespace llamawire
