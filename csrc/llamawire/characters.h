// Sets of characters, and their bytes in UTF-8 as small automata.
//
// A tree of nodes says which bytes may come: from a set's root a lead byte leads to the node for
// the bytes behind it, and the last byte to kWhole. Only UTF-8 as the Unicode standard has it can
// come (its table 3-7): no surrogates, nothing beyond U+10FFFF, no longer form than need be.
// Equal nodes are one, so the letters of most grammars share a handful.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <utility>
#include <vector>

namespace llamawire {

constexpr uint32_t kLastCharacter = 0x10FFFF;

struct CharacterRange {
    uint32_t first;
    uint32_t last;
};

// Rising, without overlap.
using CharacterSet = std::vector<CharacterRange>;

// Of ranges in any order; those that end before they begin are empty.
CharacterSet make_set(std::vector<CharacterRange> ranges, bool is_negated);

class CharacterNodes {
  public:
    static constexpr int32_t kNone = -1;   // the byte cannot come
    static constexpr int32_t kWhole = -2;  // the character is whole with it

    // The root for a set; the same for equal sets.
    int32_t root(const CharacterSet& set);
    int32_t next(int32_t node, uint8_t byte) const;

  private:
    struct Edge {
        uint8_t first;
        uint8_t last;
        int32_t node;
    };
    using Node = std::vector<Edge>;  // rising
    using Key = std::vector<uint32_t>;

    int32_t behind(const CharacterSet& set, int bytes);
    int32_t add(Key key, Node node);

    std::vector<Node> nodes_;
    std::map<Key, int32_t> known_;
};

}  // namespace llamawire
