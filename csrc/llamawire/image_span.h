// Images within a prompt: what stands for them among its ids, and what the model is given there.
//
// An encoded image is a run of entries, each at a position of the context. Most are embeddings that
// a projector made; some are tokens that the model wants around an image or between its tiles. A
// chunk is a run of embeddings that belong together.
//
// Among the ids of a prompt each embedding has a placeholder: a negative number made of the image's
// digest and the entry's index. The same image at the same place gives the same ids, and another
// image others. So the prefix cache, the journal of a job and the job that goes on after a crash
// compare ids, and need know nothing of images. The lowest bit says which placeholders begin a
// chunk.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "token.h"

namespace llamawire {

// Immutable once it is made, so any thread may read it.
class Image {
  public:
    // `digest` is of the image's bytes; `width` is the size of an embedding. is_causal: an embedding
    // sees only those before it, so a chunk may be computed piece by piece.
    Image(const std::string& digest, int32_t width, bool is_causal);

    void add_tokens(const Token* tokens, size_t count);
    void add_chunk(const float* embeddings, size_t count);

    const std::vector<Token>& ids() const { return ids_; }
    int32_t size() const { return static_cast<int32_t>(ids_.size()); }
    int32_t width() const { return width_; }
    bool is_causal() const { return is_causal_; }
    int32_t longest_chunk() const { return longest_chunk_; }
    size_t bytes() const;
    // Of the entry at `index`, which must have a placeholder.
    const float* embedding(int32_t index) const;

  private:
    uint64_t seed_;
    int32_t width_;
    bool is_causal_;
    int32_t longest_chunk_ = 0;
    std::vector<Token> ids_;
    std::vector<int32_t> rows_;  // of each entry's embedding; -1 for tokens
    std::vector<float> embeddings_;
};

// An image in a sequence of ids: it takes up [begin, end()).
struct ImageSpan {
    int32_t begin = 0;
    std::shared_ptr<const Image> image;

    int32_t end() const { return begin + image->size(); }
};

inline bool is_placeholder(Token id) {
    return id < 0;
}

// Throws Error(kInvalidArgument) unless the images stand in `ids` one behind the other, their
// embeddings are `width` wide, and each placeholder belongs to one of them.
void check_images(const std::vector<Token>& ids, const std::vector<ImageSpan>& images,
                  int32_t width);

// ---- where ids may be parted ---------------------------------------------------------------------

// Whether the entry at `at` goes on with the chunk that holds the one before.
bool is_within_chunk(const std::vector<Token>& ids, int32_t at);
// `at`, or where its chunk begins if it stands within one.
int32_t chunk_begin(const std::vector<Token>& ids, int32_t at);
// The end of the entries from `begin` on that one call may compute: tokens, or one chunk's rest.
int32_t run_end(const std::vector<Token>& ids, int32_t begin);
// The greatest place up to `at`, and within `ids`, at which a prefill of `ids` from 0 is always
// parted, whatever follows: where tokens and chunks meet, and at multiples of `unit` among tokens.
int32_t cut_point(const std::vector<Token>& ids, int32_t at, int32_t unit);

}  // namespace llamawire
