#include "automaton.h"

#include <algorithm>
#include <cassert>

#include "error.h"

namespace llamawire {

namespace {

// What containers need for one more element, about.
constexpr size_t kStackBytes = 72;
constexpr size_t kEdgeBytes = 32;

}  // namespace

struct Automaton::State {
    using Edges = std::array<State*, 256>;

    const Stacks* stacks = nullptr;  // its key in states_; none: what no text leads to
    bool has_empty = false;          // one of the stacks: it goes on with what lies below
    // Most states are the state `core` with these positions, common to all stacks, below it.
    std::vector<uint32_t> common;
    State* core = this;
    int32_t places = 0;  // that stand on it
    bool is_crowded = false;
    std::unique_ptr<Edges> next;                  // by byte; null: not asked yet
    std::unordered_map<uint32_t, State*> pulled;  // by position
};

Automaton::Place::Place(std::shared_ptr<Automaton> automaton) : automaton_(std::move(automaton)) {
    const std::scoped_lock lock(automaton_->mutex_);
    state_ = automaton_->start_->core;
    below_ = automaton_->start_->common;
    ++state_->places;
}

Automaton::Place::~Place() {
    const std::scoped_lock lock(automaton_->mutex_);
    --state_->places;
}

bool Automaton::Cursor::is_complete() const {
    return state_->has_empty;  // and nothing lies below, or it would have been pulled
}

// ---- compiling --------------------------------------------------------------

Automaton::Automaton(const Gbnf& grammar) {
    rules_.resize(grammar.rules.size());
    for (size_t rule = 0; rule < grammar.rules.size(); ++rule) add_rule(rule, grammar);
    Stacks seen;
    Stacks stacks;
    for (uint32_t begin : rules_[static_cast<size_t>(grammar.root)]) {
        close({begin}, &seen, &stacks);
    }
    start_ = state_of(std::move(stacks));
    ++start_->places;
    ++start_->core->places;
}

Automaton::~Automaton() = default;

void Automaton::add_rule(size_t index, const Gbnf& grammar) {
    for (const GbnfSequence& sequence : grammar.rules[index].alternatives) {
        // What is repeated has rules of its own, and those stand before this alternative.
        std::vector<Element> alternative;
        for (const GbnfItem& item : sequence) {
            const Element element = element_of(item);
            alternative.insert(alternative.end(), item.least, element);
            if (item.most == item.least) continue;
            const bool is_bounded = item.most != GbnfItem::kNoLimit;
            add_optional(element, is_bounded, is_bounded ? item.most - item.least : 1);
            alternative.push_back({Element::Kind::kRule, static_cast<int32_t>(rules_.size()) - 1});
        }
        rules_[index].push_back(static_cast<uint32_t>(elements_.size()));
        elements_.insert(elements_.end(), alternative.begin(), alternative.end());
        elements_.push_back({Element::Kind::kEnd, 0});
    }
}

Automaton::Element Automaton::element_of(const GbnfItem& item) {
    if (item.rule != GbnfItem::kCharacter) return {Element::Kind::kRule, item.rule};
    return {Element::Kind::kCharacter, characters_.root(item.characters)};
}

// Up to `times` of it, each of them a rule: one and those before it, or nothing. Without a bound
// the rule refers to itself.
void Automaton::add_optional(const Element& element, bool is_bounded, uint64_t times) {
    for (uint64_t i = 0; i < times; ++i) {
        const auto rule = static_cast<int32_t>(rules_.size());
        const auto begin = static_cast<uint32_t>(elements_.size());
        elements_.push_back(element);
        if (i > 0 || !is_bounded) {
            elements_.push_back({Element::Kind::kRule, is_bounded ? rule - 1 : rule});
        }
        elements_.push_back({Element::Kind::kEnd, 0});
        rules_.push_back({begin, static_cast<uint32_t>(elements_.size()) - 1});
    }
}

// ---- sets of stacks ---------------------------------------------------------

// What is left of a stack once `byte` is read, with all ways to go on from there.
void Automaton::advance(const Stack& stack, uint8_t byte, Stacks* seen, Stacks* stacks) const {
    const uint32_t top = stack.back();
    const bool is_inside = (top & kInCharacter) != 0;
    const int32_t node =
        is_inside ? static_cast<int32_t>(top & ~kInCharacter) : elements_[top].value;
    const int32_t next = characters_.next(node, byte);
    if (next == CharacterNodes::kNone) return;
    Stack rest(stack.begin(), stack.end() - 1);
    if (!is_inside) rest.push_back(top + 1);
    if (next == CharacterNodes::kWhole) {
        close(std::move(rest), seen, stacks);
        return;
    }
    // An end is not a position to return to.
    if (!is_inside && elements_[top + 1].kind == Element::Kind::kEnd) rest.pop_back();
    rest.push_back(kInCharacter | static_cast<uint32_t>(next));
    stacks->insert(std::move(rest));
}

// From a stack whose top may be any position to those on top of which a character comes.
void Automaton::close(Stack stack, Stacks* seen, Stacks* stacks) const {
    std::vector<Stack> open = {std::move(stack)};
    size_t entries = 0;
    while (!open.empty()) {
        Stack here = std::move(open.back());
        open.pop_back();
        while (!here.empty() && elements_[here.back()].kind == Element::Kind::kEnd) here.pop_back();
        if (!seen->insert(here).second) continue;
        entries += here.size() + 1;
        if (entries > kStackEntriesMax) {
            throw Error(Code::kResourceExhausted, "the format is too ambiguous");
        }
        if (here.empty()) {
            stacks->insert(std::move(here));
            continue;
        }
        const uint32_t top = here.back();
        const Element element = elements_[top];
        if (element.kind == Element::Kind::kCharacter) {
            if (element.value != CharacterNodes::kNone) stacks->insert(std::move(here));
            continue;
        }
        here.back() = top + 1;
        if (elements_[top + 1].kind == Element::Kind::kEnd) here.pop_back();
        for (uint32_t begin : rules_[static_cast<size_t>(element.value)]) {
            open.push_back(here);
            open.back().push_back(begin);
        }
    }
}

Automaton::State* Automaton::state_of(Stacks stacks) {
    const auto found = states_.find(stacks);
    if (found != states_.end()) return found->second.get();
    auto state = std::make_unique<State>();
    State* const made = state.get();
    size_t entries = 0;
    for (const Stack& stack : stacks) entries += stack.size();
    bytes_ += sizeof(State) + entries * sizeof(uint32_t) + stacks.size() * kStackBytes;
    if (entries > kStackEntriesMax || bytes_ > 4 * kBytesMax) {
        throw Error(Code::kResourceExhausted, "the format is too ambiguous");
    }
    made->has_empty = !stacks.empty() && stacks.begin()->empty();
    made->common = common_of(stacks);
    if (!made->common.empty()) {
        const auto depth = static_cast<ptrdiff_t>(made->common.size());
        Stacks core;
        for (const Stack& stack : stacks) {
            core.emplace_hint(core.end(), stack.begin() + depth, stack.end());
        }
        made->core = state_of(std::move(core));
    }
    const auto place = states_.emplace(std::move(stacks), std::move(state)).first;
    made->stacks = &place->first;
    return made;
}

// The positions below the tops that all stacks begin with. In their order the first and the last
// differ most.
Automaton::Stack Automaton::common_of(const Stacks& stacks) {
    if (stacks.empty()) return {};
    const Stack& first = *stacks.begin();
    const Stack& last = *stacks.rbegin();
    size_t below = first.size();
    for (const Stack& stack : stacks) below = std::min(below, stack.size());
    size_t common = 0;
    while (common + 1 < below && first[common] == last[common]) ++common;
    return {first.begin(), first.begin() + static_cast<ptrdiff_t>(common)};
}

// ---- edges ------------------------------------------------------------------

Automaton::State* Automaton::next(State* state, uint8_t byte) {
    if (state->next == nullptr) {
        state->next = std::make_unique<State::Edges>();
        bytes_ += sizeof(State::Edges);
    }
    State*& edge = (*state->next)[byte];
    if (edge != nullptr) return edge;
    Stacks seen;
    Stacks stacks;
    for (const Stack& stack : *state->stacks) {
        if (!stack.empty()) advance(stack, byte, &seen, &stacks);
    }
    edge = state_of(std::move(stacks));
    return edge;
}

Automaton::State* Automaton::pull(State* state, uint32_t position) {
    const auto found = state->pulled.find(position);
    if (found != state->pulled.end()) return found->second;
    Stacks seen;
    Stacks stacks;
    for (const Stack& stack : *state->stacks) {
        Stack longer = {position};
        longer.insert(longer.end(), stack.begin(), stack.end());
        if (stack.empty()) {
            close(std::move(longer), &seen, &stacks);
        } else {
            stacks.insert(std::move(longer));
        }
    }
    State* const target = state_of(std::move(stacks));
    state->pulled.emplace(position, target);
    bytes_ += kEdgeBytes;
    return target;
}

// Puts the cursor on a state: what is common goes below, and a stack at its end takes from there.
void Automaton::settle(Cursor* cursor, State* state) {
    for (;;) {
        cursor->above_.insert(cursor->above_.end(), state->common.begin(), state->common.end());
        state = state->core;
        cursor->state_ = state;
        if (!state->has_empty) return;
        uint32_t position = 0;
        if (!cursor->above_.empty()) {
            position = cursor->above_.back();
            cursor->above_.pop_back();
        } else if (cursor->kept_ > 0) {
            position = cursor->place_->below_[--cursor->kept_];
        } else {
            return;
        }
        state = pull(state, position);
    }
}

bool Automaton::read(Cursor* cursor, std::string_view bytes) {
    for (char byte : bytes) {
        State* const state = next(cursor->state_, static_cast<uint8_t>(byte));
        if (state->stacks->empty()) return false;
        if (state->core == state && !state->has_empty) {
            cursor->state_ = state;
        } else {
            settle(cursor, state);
        }
    }
    return true;
}

void Automaton::move(Place* place, const Cursor& to) {
    assert(to.place_ == place);
    --place->state_->places;
    place->state_ = to.state_;
    ++place->state_->places;
    place->below_.resize(to.kept_);
    place->below_.insert(place->below_.end(), to.above_.begin(), to.above_.end());
}

bool Automaton::is_crowded(const Place& place) const {
    return place.state_->is_crowded;
}

void Automaton::set_crowded(const Place& place) {
    place.state_->is_crowded = true;
}

void Automaton::tidy() {
    if (bytes_ <= kBytesMax) return;
    bytes_ = 0;
    for (auto state = states_.begin(); state != states_.end();) {
        state->second->next.reset();
        state->second->pulled.clear();
        state = state->second->places > 0 ? std::next(state) : states_.erase(state);
    }
}

}  // namespace llamawire
