#include "image_span.h"

#include <algorithm>
#include <cassert>

#include "error.h"
#include "random.h"

namespace llamawire {

namespace {

// FNV-1a: the digest is random enough already, this only folds it.
uint64_t folded(const std::string& digest) {
    uint64_t hash = 0xCBF29CE484222325;
    for (const char byte : digest) {
        hash = (hash ^ static_cast<unsigned char>(byte)) * 0x100000001B3;
    }
    return hash;
}

Token placeholder(uint64_t seed, size_t index, bool begins_chunk) {
    const uint32_t bits = philox({static_cast<uint32_t>(index), 0, 0, 0}, seed)[0];
    return static_cast<Token>((bits & ~1U) | 0x80000000U | (begins_chunk ? 1U : 0U));
}

bool begins_chunk(Token id) {
    return is_placeholder(id) && (id & 1) != 0;
}

}  // namespace

Image::Image(const std::string& digest, int32_t width, bool is_causal)
    : seed_(folded(digest)), width_(width), is_causal_(is_causal) {}

void Image::add_tokens(const Token* tokens, size_t count) {
    ids_.insert(ids_.end(), tokens, tokens + count);
    rows_.resize(ids_.size(), -1);
}

void Image::add_chunk(const float* embeddings, size_t count) {
    const size_t width = static_cast<size_t>(width_);
    auto row = static_cast<int32_t>(embeddings_.size() / width);
    for (size_t i = 0; i < count; ++i) {
        ids_.push_back(placeholder(seed_, ids_.size(), i == 0));
        rows_.push_back(row++);
    }
    embeddings_.insert(embeddings_.end(), embeddings, embeddings + count * width);
    longest_chunk_ = std::max(longest_chunk_, static_cast<int32_t>(count));
}

size_t Image::bytes() const {
    return embeddings_.size() * sizeof(float) + ids_.size() * (sizeof(Token) + sizeof(int32_t));
}

const float* Image::embedding(int32_t index) const {
    const int32_t row = rows_[static_cast<size_t>(index)];
    assert(row >= 0);
    return embeddings_.data() + static_cast<size_t>(row) * static_cast<size_t>(width_);
}

void check_images(const std::vector<Token>& ids, const std::vector<ImageSpan>& images,
                  int32_t width) {
    const auto refuse = [](const std::string& reason) {
        throw Error(Code::kInvalidArgument, reason);
    };
    size_t next = 0;
    const auto skip_tokens = [&](size_t end) {
        for (; next < end; ++next) {
            if (!is_placeholder(ids[next])) continue;
            refuse("token id " + std::to_string(ids[next]) +
                   " is outside the vocabulary, and no image stands there");
        }
    };
    for (const ImageSpan& span : images) {
        const std::vector<Token>& own = span.image->ids();
        const auto begin = static_cast<size_t>(std::max(span.begin, 0));
        if (span.begin < 0 || begin < next || begin > ids.size() ||
            own.size() > ids.size() - begin ||
            !std::equal(own.begin(), own.end(), ids.begin() + span.begin)) {
            refuse("the prompt has no image at " + std::to_string(span.begin));
        }
        if (span.image->width() != width) {
            refuse("the image was encoded for a model of width " +
                   std::to_string(span.image->width()) + ", not " + std::to_string(width));
        }
        skip_tokens(begin);
        next = begin + own.size();
    }
    skip_tokens(ids.size());
}

bool is_within_chunk(const std::vector<Token>& ids, int32_t at) {
    if (at <= 0 || at >= static_cast<int32_t>(ids.size())) return false;
    const Token id = ids[static_cast<size_t>(at)];
    return is_placeholder(id) && !begins_chunk(id);
}

int32_t chunk_begin(const std::vector<Token>& ids, int32_t at) {
    while (is_within_chunk(ids, at)) --at;
    return at;
}

int32_t run_end(const std::vector<Token>& ids, int32_t begin) {
    const auto size = static_cast<int32_t>(ids.size());
    const bool embeds = is_placeholder(ids[static_cast<size_t>(begin)]);
    int32_t end = begin + 1;
    const auto goes_on = [&] {
        return embeds ? is_within_chunk(ids, end) : !is_placeholder(ids[static_cast<size_t>(end)]);
    };
    while (end < size && goes_on()) ++end;
    return end;
}

int32_t cut_point(const std::vector<Token>& ids, int32_t at, int32_t unit) {
    const auto size = static_cast<int32_t>(ids.size());
    const auto is_parted = [&](int32_t place) {
        if (place == 0) return true;
        if (place >= size) return place % unit == 0;
        const Token before = ids[static_cast<size_t>(place) - 1];
        const Token id = ids[static_cast<size_t>(place)];
        if (is_placeholder(before) || is_placeholder(id)) return !is_within_chunk(ids, place);
        return place % unit == 0;
    };
    while (!is_parted(at)) --at;
    return at;
}

}  // namespace llamawire
