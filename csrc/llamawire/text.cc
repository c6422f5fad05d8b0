#include "text.h"

#include <algorithm>
#include <cassert>

namespace llamawire {

namespace {
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";
}

StopMatcher::StopMatcher(const std::vector<std::string>& stops) : nodes_(1) {
    for (const std::string& stop : stops) add(stop);
    link();
}

void StopMatcher::add(const std::string& stop) {
    assert(!stop.empty());
    uint32_t node = 0;
    for (char byte : stop) {
        uint32_t next = child(node, byte);
        if (next == 0) {
            next = static_cast<uint32_t>(nodes_.size());
            Node fresh;
            fresh.next_sibling = nodes_[node].first_child;
            fresh.depth = nodes_[node].depth + 1;
            fresh.byte = byte;
            nodes_.push_back(fresh);
            nodes_[node].first_child = next;
        }
        node = next;
    }
    nodes_[node].match_length = nodes_[node].depth;
}

// Breadth first, so that a node's fallback, which is shorter, is complete before the node.
void StopMatcher::link() {
    std::vector<uint32_t> order = {0};
    for (size_t i = 0; i < order.size(); ++i) {
        const uint32_t parent = order[i];
        for (uint32_t node = nodes_[parent].first_child; node != 0;
             node = nodes_[node].next_sibling) {
            nodes_[node].fallback =
                parent == 0 ? 0 : step(nodes_[parent].fallback, nodes_[node].byte);
            if (nodes_[node].match_length == 0) {
                nodes_[node].match_length = nodes_[nodes_[node].fallback].match_length;
            }
            order.push_back(node);
        }
    }
}

uint32_t StopMatcher::child(uint32_t node, char byte) const {
    uint32_t next = nodes_[node].first_child;
    while (next != 0 && nodes_[next].byte != byte) next = nodes_[next].next_sibling;
    return next;
}

uint32_t StopMatcher::step(uint32_t node, char byte) const {
    for (;;) {
        const uint32_t next = child(node, byte);
        if (next != 0 || node == 0) return next;
        node = nodes_[node].fallback;
    }
}

// The node's depth says where the earliest unfinished candidate begins. A complete stop string wins
// as soon as no candidate that began before it is left.
bool StopMatcher::feed(std::string_view bytes, std::string* out) {
    held_.append(bytes);
    for (char byte : bytes) {
        ++fed_;
        node_ = step(node_, byte);
        const Node& node = nodes_[node_];
        if (node.match_length > 0) cut_ = std::min(cut_, fed_ - node.match_length);
        if (cut_ != kNone && fed_ - node.depth >= cut_) {
            release(cut_, out);
            return true;
        }
    }
    release(std::min(cut_, fed_ - nodes_[node_].depth), out);
    return false;
}

bool StopMatcher::finish(std::string* out) {
    release(std::min(cut_, fed_), out);
    return cut_ != kNone;
}

void StopMatcher::restart() {
    assert(cut_ == kNone && held_.empty());
    node_ = 0;
}

void StopMatcher::release(uint64_t end, std::string* out) {
    const size_t count = end - released_;
    out->append(held_, 0, count);
    held_.erase(0, count);
    released_ = end;
}

void Utf8Gate::feed(std::string_view bytes, std::string* out) {
    for (char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (missing_ == 0) {
            begin(byte, out);
        } else if (byte >= low_ && byte <= high_) {
            held_[held_count_++] = c;
            low_ = 0x80;
            high_ = 0xBF;
            if (--missing_ == 0) out->append(held_, held_count_);
        } else {
            out->append(kReplacement);
            missing_ = 0;
            begin(byte, out);
        }
    }
}

// Table 3-7 of the Unicode standard: which bytes may begin a character, and what may come second.
void Utf8Gate::begin(unsigned char byte, std::string* out) {
    if (byte < 0x80) {
        out->push_back(static_cast<char>(byte));
        return;
    }
    if (byte < 0xC2 || byte > 0xF4) {
        out->append(kReplacement);
        return;
    }
    missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
    low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    held_[0] = static_cast<char>(byte);
    held_count_ = 1;
}

void Utf8Gate::finish(std::string* out) {
    if (missing_ > 0) out->append(kReplacement);
    missing_ = 0;
}

Text::Text(const std::vector<std::string>& stops, uint64_t skip_bytes)
    : stops_(stops), has_stops_(!stops.empty()), skip_bytes_(skip_bytes) {}

bool Text::feed(std::string_view piece) {
    assert(!closed_);
    if (!has_stops_) {
        pass_on(piece);
        return false;
    }
    certain_.clear();
    const bool stopped = stops_.feed(piece, &certain_);
    pass_on(certain_);
    if (stopped) close();
    return stopped;
}

bool Text::feed_mark(std::string_view mark) {
    assert(!closed_);
    if (let_go()) {
        close();
        return true;
    }
    stops_.restart();
    const size_t before = out_.size();
    gate_.finish(&out_);
    out_.append(kMarkBegin).append(mark).append(kMarkEnd);
    drop_delivered(before);
    return false;
}

bool Text::finish() {
    if (closed_) return false;
    const bool stopped = let_go();
    close();
    return stopped;
}

// Passes on what the stop strings held back. True: one of them is complete.
bool Text::let_go() {
    certain_.clear();
    const bool stopped = stops_.finish(&certain_);
    pass_on(certain_);
    return stopped;
}

std::string Text::take() {
    std::string text = std::move(out_);
    out_.clear();
    return text;
}

void Text::pass_on(std::string_view bytes) {
    const size_t before = out_.size();
    gate_.feed(bytes, &out_);
    drop_delivered(before);
}

void Text::close() {
    const size_t before = out_.size();
    gate_.finish(&out_);
    drop_delivered(before);
    closed_ = true;
}

void Text::drop_delivered(size_t before) {
    if (skip_bytes_ == 0) return;
    const auto dropped = std::min<uint64_t>(skip_bytes_, out_.size() - before);
    out_.erase(before, dropped);
    skip_bytes_ -= dropped;
}

}  // namespace llamawire
