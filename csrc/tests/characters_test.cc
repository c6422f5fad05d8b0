#include "llamawire/characters.h"

#include <doctest/doctest.h>

#include <string>

namespace llamawire {

namespace {

std::string utf8(uint32_t character) {
    const auto byte = [](uint32_t value) { return static_cast<char>(value); };
    const auto behind = [&](int shift) { return byte(0x80 | (character >> shift & 0x3F)); };
    if (character < 0x80) return {byte(character)};
    if (character < 0x800) return {byte(0xC0 | character >> 6), behind(0)};
    if (character < 0x10000) return {byte(0xE0 | character >> 12), behind(6), behind(0)};
    return {byte(0xF0 | character >> 18), behind(12), behind(6), behind(0)};
}

int32_t read(const CharacterNodes& nodes, int32_t root, const std::string& bytes) {
    int32_t node = root;
    for (char byte : bytes) {
        if (node < 0) return CharacterNodes::kNone;
        node = nodes.next(node, static_cast<uint8_t>(byte));
    }
    return node;
}

bool holds(const CharacterSet& set, uint32_t character) {
    for (const CharacterRange& range : set) {
        if (range.first <= character && character <= range.last) return true;
    }
    return false;
}

}  // namespace

TEST_CASE("the bytes of a set's characters lead to their end, and those of no other") {
    const std::vector<CharacterRange> all_ranges[] = {
        {{'a', 'z'}, {'0', '9'}},
        {{0x7F, 0x80}, {0x7FF, 0x800}, {0xFFFF, 0x10000}, {kLastCharacter, 0xFFFFFFFF}},
        {{0xE9, 0xE9}, {0xD000, 0xE123}, {'z', 'a'}},
        {{0x10400, 0x1F600}, {0x3C0, 0x3C1}},
    };
    for (const auto& ranges : all_ranges) {
        for (bool is_negated : {false, true}) {
            const CharacterSet set = make_set(ranges, is_negated);
            CharacterNodes nodes;
            const int32_t root = nodes.root(set);
            for (uint32_t character = 0; character <= kLastCharacter; ++character) {
                const bool is_surrogate = character >= 0xD800 && character <= 0xDFFF;
                const bool expected = holds(set, character) && !is_surrogate;
                const int32_t node = read(nodes, root, utf8(character));
                if ((node == CharacterNodes::kWhole) != expected) FAIL(character);
            }
        }
    }
}

TEST_CASE("a range may end beyond all characters, and another may lie in it") {
    CHECK(make_set({{0, 0xFFFFFFFF}, {5, 6}}, true).empty());
    const CharacterSet set = make_set({{5, 6}, {1, 0xFFFFFFFF}}, false);
    REQUIRE(set.size() == 1);
    CHECK(set[0].first == 1);
    CHECK(set[0].last == kLastCharacter);
}

TEST_CASE("what is not UTF-8 leads nowhere") {
    CharacterNodes nodes;
    const int32_t root = nodes.root(make_set({}, true));
    for (const char* bytes : {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80",
                              "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5", "\xFF"}) {
        CHECK(read(nodes, root, bytes) == CharacterNodes::kNone);
    }
    CHECK(read(nodes, root, "\xF4\x8F\xBF") >= 0);
    CHECK(nodes.root(make_set({{0xD800, 0xDFFF}}, false)) == CharacterNodes::kNone);
}

}  // namespace llamawire
