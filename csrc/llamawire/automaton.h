// A grammar as an automaton over bytes, built where texts go.
//
// What a text may go on with is a set of stacks: on top of each a position in the grammar, below it
// the positions to return to. To compute that set anew for each byte is what makes grammars slow,
// and the same sets come again and again: inside each string, behind each comma. So a set is made
// once, as a state, with an edge for each byte that was ever asked about.
//
// Positions that all stacks of a set return to do not belong to its state: they lie in a Place, or
// the hundredth element of an array would have states of its own, only because it returns to
// another position than the first. Where a stack has come to its end, the Place's topmost position
// is pulled into the state, which is one more kind of edge.
//
// Sets may grow without end where a grammar is ambiguous. One beyond kStackEntriesMax is an
// Error(kResourceExhausted), and so are more states within one call than kBytesMax times four.
//
// Threads: rows share an automaton. All but the constructor is called with its mutex held.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "characters.h"
#include "gbnf.h"

namespace llamawire {

class Automaton {
  private:
    using Stack = std::vector<uint32_t>;  // positions, or what is left of a character; bottom first
    using Stacks = std::set<Stack>;
    struct State;

  public:
    static constexpr size_t kStackEntriesMax = 16384;  // of the stacks of one state
    // Of states. Beyond it those that no text stands on are made again when they are asked for.
    static constexpr size_t kBytesMax = size_t{16} * 1024 * 1024;

    // Where a text stands.
    class Place {
      public:
        // At the beginning. Locks the mutex itself, as the destructor does.
        explicit Place(std::shared_ptr<Automaton> automaton);
        ~Place();
        Place(const Place&) = delete;
        Place& operator=(const Place&) = delete;

      private:
        friend class Automaton;
        const std::shared_ptr<Automaton> automaton_;
        State* state_;
        std::vector<uint32_t> below_;
    };

    // A look at what may follow a place, valid until the mutex is unlocked.
    class Cursor {
      public:
        explicit Cursor(const Place& place)
            : place_(&place), state_(place.state_), kept_(place.below_.size()) {}
        // The text may end here.
        bool is_complete() const;
        // It never came to the end of what the place's state knows: it would have gone the same
        // way from any other place with that state.
        bool is_local() const { return kept_ == place_->below_.size(); }

      private:
        friend class Automaton;
        const Place* place_;
        State* state_;
        size_t kept_;                  // of the place's stack
        std::vector<uint32_t> above_;  // on top of that
    };

    explicit Automaton(const Gbnf& grammar);
    ~Automaton();

    std::mutex& mutex() { return mutex_; }
    // False, and the cursor is of no more use, if the bytes may not follow.
    bool read(Cursor* cursor, std::string_view bytes);
    void move(Place* place, const Cursor& to);
    // A note for callers: so much may follow this state, whatever lies below, that listing it is
    // not worth while.
    bool is_crowded(const Place& place) const;
    void set_crowded(const Place& place);
    // Drops states where there are too many. Ends all cursors.
    void tidy();

  private:
    static constexpr uint32_t kInCharacter = 0x80000000;  // marks a node of characters_

    struct Element {
        enum class Kind : uint8_t { kEnd, kCharacter, kRule };
        Kind kind;
        int32_t value;  // a node of characters_, a rule
    };

    void add_rule(size_t index, const Gbnf& grammar);
    Element element_of(const GbnfItem& item);
    void add_optional(const Element& element, bool is_bounded, uint64_t times);

    void settle(Cursor* cursor, State* state);
    State* next(State* state, uint8_t byte);
    State* pull(State* state, uint32_t position);
    void advance(const Stack& stack, uint8_t byte, Stacks* seen, Stacks* stacks) const;
    void close(Stack stack, Stacks* seen, Stacks* stacks) const;
    State* state_of(Stacks stacks);
    static Stack common_of(const Stacks& stacks);

    std::vector<Element> elements_;             // alternatives, each with its kEnd
    std::vector<std::vector<uint32_t>> rules_;  // where the alternatives of each begin
    CharacterNodes characters_;

    std::mutex mutex_;
    std::map<Stacks, std::unique_ptr<State>> states_;
    State* start_ = nullptr;
    size_t bytes_ = 0;
};

}  // namespace llamawire
