#include "special_tokens.h"

#include <algorithm>
#include <cctype>
#include <utility>

namespace llamawire {

namespace {

uint16_t first_two(std::string_view text) {
    return static_cast<uint16_t>(static_cast<unsigned char>(text[0]) << 8U |
                                 static_cast<unsigned char>(text[1]));
}

}  // namespace

SpecialTokens::SpecialTokens(const llama_vocab* vocab) {
    constexpr uint32_t kControl = LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN;
    if (llama_vocab_type(vocab) == LLAMA_VOCAB_TYPE_NONE) return;
    for (llama_token token = 0; token < llama_vocab_n_tokens(vocab); ++token) {
        const auto attributes = static_cast<uint32_t>(llama_vocab_get_attr(vocab, token));
        if ((attributes & (kControl | LLAMA_TOKEN_ATTR_USER_DEFINED)) == 0) continue;
        Spelling spelling = {llama_vocab_get_text(vocab, token), (attributes & kControl) != 0,
                             (attributes & LLAMA_TOKEN_ATTR_LSTRIP) != 0};
        if (spelling.text.size() < 2) continue;  // it reaches over no cut
        longest_ = std::max(longest_, spelling.text.size());
        spellings_[first_two(spelling.text)].push_back(std::move(spelling));
    }
}

std::vector<std::string_view> SpecialTokens::parts(std::string_view text, bool parse_special,
                                                   size_t part_bytes) const {
    std::vector<std::string_view> found;
    size_t begin = 0;
    for (size_t at = part_bytes; at + 1 < text.size(); ++at) {
        if (!is_cut(text, at, parse_special)) continue;
        found.push_back(text.substr(begin, at - begin));
        begin = at;
        at += part_bytes;
    }
    found.push_back(text.substr(begin));
    return found;
}

bool SpecialTokens::is_cut(std::string_view text, size_t at, bool parse_special) const {
    const auto stands = [&](const Spelling& each, size_t place) {
        return (parse_special || !each.is_control) &&
               text.compare(place, each.text.size(), each.text) == 0;
    };
    // A token further right may swallow blanks.
    if (std::isspace(static_cast<unsigned char>(text[at])) != 0) return false;
    const auto& here = candidates(text, at);
    const bool begins =
        std::any_of(here.begin(), here.end(), [&](const auto& each) { return stands(each, at); });
    if (!begins) return false;
    for (const Spelling& each : here) {
        if (each.strips_left && stands(each, at)) return false;
    }
    // Nothing that begins before may reach beyond.
    for (size_t place = at > longest_ ? at - longest_ : 0; place < at; ++place) {
        for (const Spelling& each : candidates(text, place)) {
            if (place + each.text.size() > at && stands(each, place)) return false;
        }
    }
    return true;
}

const std::vector<SpecialTokens::Spelling>& SpecialTokens::candidates(std::string_view text,
                                                                      size_t at) const {
    if (at + 2 > text.size()) return none_;
    const auto found = spellings_.find(first_two(text.substr(at)));
    return found == spellings_.end() ? none_ : found->second;
}

}  // namespace llamawire
