// Questions asked of a grammar's rules as a whole, before they are compiled.
#include <algorithm>
#include <string>
#include <vector>

#include "error.h"
#include "gbnf.h"

namespace llamawire {

namespace {

[[noreturn]] void refuse(const std::string& what) {
    throw Error(Code::kInvalidArgument, "grammar" + what);
}

class Checker {
  public:
    explicit Checker(const Gbnf& grammar) : rules_(grammar.rules), notes_(grammar.rules.size()) {}

    void check_references() const;
    void find_empty();
    void check_repetitions() const;
    void check_left_recursion();
    void check_ways();

  private:
    struct Note {  // what was found out about a rule
        bool may_be_empty = false;
        bool is_seen = false;  // these two: by check_left_recursion
        bool is_on_path = false;
        uint64_t ways = 0;  // to begin it; 0: not counted yet
    };

    const char* name_of(int32_t rule) const {
        return rules_[rule].name.empty() ? "(group)" : rules_[rule].name.c_str();
    }
    bool is_hollow(const GbnfItem& item) const {
        return item.rule != GbnfItem::kCharacter && notes_[item.rule].may_be_empty;
    }
    bool may_be_empty(const GbnfItem& item) const { return item.least == 0 || is_hollow(item); }
    bool is_empty(const GbnfSequence& sequence) const;
    std::vector<int32_t> first_rules(int32_t rule) const;
    uint64_t ways_of(int32_t rule);
    uint64_t ways_from(const GbnfSequence& sequence, size_t begin);

    const std::vector<GbnfRule>& rules_;
    std::vector<Note> notes_;
};

void Checker::check_references() const {
    for (const GbnfRule& rule : rules_) {
        if (!rule.is_defined) refuse(": the rule " + rule.name + " is not defined");
    }
}

bool Checker::is_empty(const GbnfSequence& sequence) const {
    return std::all_of(sequence.begin(), sequence.end(),
                       [this](const GbnfItem& item) { return may_be_empty(item); });
}

void Checker::find_empty() {
    for (bool changed = true; changed;) {
        changed = false;
        for (size_t rule = rules_.size(); rule-- > 0;) {
            if (notes_[rule].may_be_empty) continue;
            const auto& alternatives = rules_[rule].alternatives;
            notes_[rule].may_be_empty =
                std::any_of(alternatives.begin(), alternatives.end(),
                            [this](const GbnfSequence& sequence) { return is_empty(sequence); });
            changed = changed || notes_[rule].may_be_empty;
        }
    }
}

void Checker::check_repetitions() const {
    for (const GbnfRule& rule : rules_) {
        for (const GbnfSequence& sequence : rule.alternatives) {
            for (const GbnfItem& item : sequence) {
                const uint64_t largest = item.most == GbnfItem::kNoLimit ? item.least : item.most;
                if (largest <= kGrammarEmptyRepetitionMax || !is_hollow(item)) continue;
                refuse(", line " + std::to_string(item.line) +
                       ": what may be empty can be repeated at most " +
                       std::to_string(kGrammarEmptyRepetitionMax) + " times");
            }
        }
    }
}

// The rules that a rule may begin with.
std::vector<int32_t> Checker::first_rules(int32_t rule) const {
    std::vector<int32_t> first;
    for (const GbnfSequence& sequence : rules_[rule].alternatives) {
        for (const GbnfItem& item : sequence) {
            if (item.rule != GbnfItem::kCharacter) first.push_back(item.rule);
            if (!may_be_empty(item)) break;
        }
    }
    return first;
}

// Depth first, with the path in hand.
void Checker::check_left_recursion() {
    struct Step {
        int32_t rule;
        std::vector<int32_t> first;
    };
    std::vector<Step> path;
    const auto enter = [&](int32_t rule) {
        notes_[rule].is_on_path = true;
        notes_[rule].is_seen = true;
        path.push_back({rule, first_rules(rule)});
    };
    for (int32_t start = 0; start < static_cast<int32_t>(rules_.size()); ++start) {
        if (!notes_[start].is_seen) enter(start);
        while (!path.empty()) {
            if (path.size() > kGrammarFirstMax) {
                refuse(": rules that begin with rules are nested deeper than " +
                       std::to_string(kGrammarFirstMax));
            }
            if (path.back().first.empty()) {
                notes_[path.back().rule].is_on_path = false;
                path.pop_back();
                continue;
            }
            const int32_t rule = path.back().first.back();
            path.back().first.pop_back();
            if (notes_[rule].is_on_path) {
                refuse(std::string(": left recursion: the rule ") + name_of(rule) +
                       " may begin with itself");
            }
            if (!notes_[rule].is_seen) enter(rule);
        }
    }
}

// Without left recursion this ends.
uint64_t Checker::ways_of(int32_t rule) {
    if (rule == GbnfItem::kCharacter) return 1;
    if (notes_[rule].ways == 0) {
        uint64_t ways = 0;
        for (const GbnfSequence& each : rules_[rule].alternatives) ways += ways_from(each, 0);
        notes_[rule].ways = std::clamp<uint64_t>(ways, 1, kGrammarWaysMax + 1);
    }
    return notes_[rule].ways;
}

// Of the items up to the first that cannot be empty; where an item may be, each of its repetitions
// is a way of its own (without a limit, one way leads back to the other).
uint64_t Checker::ways_from(const GbnfSequence& sequence, size_t begin) {
    uint64_t ways = 0;
    for (size_t i = begin; i < sequence.size() && ways <= kGrammarWaysMax; ++i) {
        const GbnfItem& item = sequence[i];
        const uint64_t repeats = item.most == GbnfItem::kNoLimit ? 1 : item.most;
        ways += ways_of(item.rule) * (is_hollow(item) ? repeats : 1);
        if (!may_be_empty(item)) break;
    }
    return ways;
}

void Checker::check_ways() {
    for (int32_t rule = 0; rule < static_cast<int32_t>(rules_.size()); ++rule) {
        uint64_t most = ways_of(rule);
        for (const GbnfSequence& sequence : rules_[rule].alternatives) {
            for (size_t i = 1; i < sequence.size(); ++i) {
                most = std::max(most, ways_from(sequence, i));
            }
        }
        if (most > kGrammarWaysMax) {
            refuse(std::string(": in the rule ") + name_of(rule) +
                   " a text can go on in more than " + std::to_string(kGrammarWaysMax) + " ways");
        }
    }
}

}  // namespace

void check_rules(const Gbnf& grammar) {
    Checker checker(grammar);
    checker.check_references();
    checker.find_empty();
    checker.check_repetitions();
    checker.check_left_recursion();
    checker.check_ways();
}

}  // namespace llamawire
