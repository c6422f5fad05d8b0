// Sets of characters out of any ranges, and the bytes that lead through their nodes, against the
// definition: a character is in the set if a range has it, and its UTF-8 is the only way to it.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "llamawire/characters.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr size_t kRangesMax = 24;

uint32_t take_character(FuzzedDataProvider* data) {
    constexpr uint32_t kEdges[] = {0,        1,        0x7F,       0x80,       0x7FF,     0x800,
                                   0xD7FF,   0xD800,   0xDFFF,     0xE000,     0xFFFF,    0x10000,
                                   0x10FFFF, 0x110000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF};
    const uint32_t near = data->PickValueInArray(kEdges);
    if (data->ConsumeBool()) return near + data->ConsumeIntegralInRange<uint32_t>(0, 4) - 2;
    return data->ConsumeIntegral<uint32_t>();
}

bool is_character(uint32_t value) {
    return value <= kLastCharacter && (value < 0xD800 || value > 0xDFFF);
}

std::string utf8(uint32_t c) {
    const auto tail = [c](int shift) { return static_cast<char>(0x80U | (c >> shift & 0x3FU)); };
    if (c < 0x80) return {static_cast<char>(c)};
    if (c < 0x800) return {static_cast<char>(0xC0U | c >> 6U), tail(0)};
    if (c < 0x10000) return {static_cast<char>(0xE0U | c >> 12U), tail(6), tail(0)};
    return {static_cast<char>(0xF0U | c >> 18U), tail(12), tail(6), tail(0)};
}

int32_t walk(const CharacterNodes& nodes, int32_t node, const std::string& bytes) {
    for (size_t i = 0; i < bytes.size(); ++i) {
        if (node < 0) return CharacterNodes::kNone;
        node = nodes.next(node, static_cast<uint8_t>(bytes[i]));
    }
    return node;
}

void check(FuzzedDataProvider* data, CharacterNodes* nodes) {
    std::vector<CharacterRange> ranges(data->ConsumeIntegralInRange<size_t>(0, kRangesMax));
    for (CharacterRange& range : ranges) range = {take_character(data), take_character(data)};
    const bool is_negated = data->ConsumeBool();
    const CharacterSet set = make_set(ranges, is_negated);
    for (size_t i = 0; i < set.size(); ++i) {
        REQUIRE(set[i].first <= set[i].last && set[i].last <= kLastCharacter);
        REQUIRE(i == 0 || set[i - 1].last < set[i].first);
    }
    const int32_t root = nodes->root(set);
    REQUIRE(root == nodes->root(set));

    std::vector<uint32_t> asked = {take_character(data), take_character(data)};
    for (const CharacterRange& range : ranges) {
        asked.insert(asked.end(), {range.first - 1, range.first, range.last, range.last + 1});
    }
    for (uint32_t character : asked) {
        if (!is_character(character)) continue;
        const bool is_named =
            std::any_of(ranges.begin(), ranges.end(), [character](const CharacterRange& range) {
                return range.first <= character && character <= range.last;
            });
        const int32_t end = walk(*nodes, root, utf8(character));
        REQUIRE(end == (is_named != is_negated ? CharacterNodes::kWhole : CharacterNodes::kNone));
    }
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::CharacterNodes nodes;
    llamawire::check(&data, &nodes);
    llamawire::check(&data, &nodes);  // beside the nodes that are there
    return 0;
}
