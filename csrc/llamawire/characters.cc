#include "characters.h"

#include <algorithm>

namespace llamawire {

namespace {

// Those of [first, last], counted from `first`.
CharacterSet part(const CharacterSet& set, uint32_t first, uint32_t last) {
    CharacterSet inside;
    for (const CharacterRange& range : set) {
        if (range.last < first || range.first > last) continue;
        inside.push_back(
            {std::max(range.first, first) - first, std::min(range.last, last) - first});
    }
    return inside;
}

void append(CharacterSet* set, const CharacterSet& part, uint32_t offset) {
    for (const CharacterRange& range : part) {
        set->push_back({range.first + offset, range.last + offset});
    }
}

}  // namespace

CharacterSet make_set(std::vector<CharacterRange> ranges, bool is_negated) {
    std::sort(ranges.begin(), ranges.end(),
              [](const auto& a, const auto& b) { return a.first < b.first; });
    CharacterSet set;
    for (CharacterRange range : ranges) {
        range.last = std::min(range.last, kLastCharacter);
        if (range.last < range.first) continue;
        if (!set.empty() && range.first <= set.back().last + 1) {
            set.back().last = std::max(set.back().last, range.last);
        } else {
            set.push_back(range);
        }
    }
    if (!is_negated) return set;
    CharacterSet others;
    uint32_t next = 0;
    for (const CharacterRange& range : set) {
        if (range.first > next) others.push_back({next, range.first - 1});
        next = range.last + 1;
    }
    if (next <= kLastCharacter) others.push_back({next, kLastCharacter});
    return others;
}

int32_t CharacterNodes::next(int32_t node, uint8_t byte) const {
    for (const Edge& edge : nodes_[static_cast<size_t>(node)]) {
        if (byte < edge.first) return kNone;
        if (byte <= edge.last) return edge.node;
    }
    return kNone;
}

// A node is known by the bytes that are missing and the numbers that they may make.
int32_t CharacterNodes::add(Key key, Node node) {
    if (node.empty()) return kNone;
    Node merged;
    for (const Edge& edge : node) {
        if (!merged.empty() && merged.back().last + 1 == edge.first &&
            merged.back().node == edge.node) {
            merged.back().last = edge.last;
        } else {
            merged.push_back(edge);
        }
    }
    nodes_.push_back(std::move(merged));
    const auto index = static_cast<int32_t>(nodes_.size()) - 1;
    known_.emplace(std::move(key), index);
    return index;
}

int32_t CharacterNodes::root(const CharacterSet& set) {
    Key key = {0};
    for (const CharacterRange& range : set) key.insert(key.end(), {range.first, range.last});
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    Node node;
    for (const CharacterRange& range : part(set, 0, 0x7F)) {
        node.push_back(
            {static_cast<uint8_t>(range.first), static_cast<uint8_t>(range.last), kWhole});
    }
    for (uint32_t byte = 0xC2; byte <= 0xF4; ++byte) {
        const int bytes = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
        const uint32_t bits = byte & (0x3FU >> bytes);
        const uint32_t first = bits << (6 * bytes);
        const uint32_t least = bytes == 1 ? 0x80 : bytes == 2 ? 0x800 : 0x10000;
        const uint32_t last = std::min(first + (1U << (6 * bytes)) - 1, kLastCharacter);
        CharacterSet below = part(set, first, last);
        CharacterSet valid;
        if (first < least) {
            append(&valid, part(below, least - first, last - first), least - first);
        } else if (byte == 0xED) {
            append(&valid, part(below, 0, 0x7FF), 0);  // U+D000 to U+D7FF
        } else {
            valid = std::move(below);
        }
        const int32_t next = behind(valid, bytes);
        if (next != kNone) {
            node.push_back({static_cast<uint8_t>(byte), static_cast<uint8_t>(byte), next});
        }
    }
    return add(std::move(key), std::move(node));
}

// `bytes` more, which make one of these numbers.
int32_t CharacterNodes::behind(const CharacterSet& set, int bytes) {
    if (set.empty()) return kNone;
    Key key = {static_cast<uint32_t>(bytes)};
    for (const CharacterRange& range : set) key.insert(key.end(), {range.first, range.last});
    const auto found = known_.find(key);
    if (found != known_.end()) return found->second;
    Node node;
    const uint32_t width = 1U << (6 * (bytes - 1));
    for (uint32_t i = 0; i < 64; ++i) {
        const CharacterSet here = part(set, i * width, i * width + width - 1);
        if (here.empty()) continue;
        const int32_t next = bytes == 1 ? kWhole : behind(here, bytes - 1);
        const auto byte = static_cast<uint8_t>(0x80 + i);
        node.push_back({byte, byte, next});
    }
    return add(std::move(key), std::move(node));
}

}  // namespace llamawire
