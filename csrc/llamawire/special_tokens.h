// Where a long text may be cut before it is tokenised.
//
// llama.cpp takes a text apart at its special tokens (control tokens, and those that the model's
// makers added) with a list that it walks from the beginning for each of them: the work is the
// square of their number, ten minutes for a text of 300,000. What stands on either side of a
// special token is tokenised apart, so a text may as well be cut in front of one. Not everywhere: a
// token that swallows the blanks before it must see them, and where two spellings overlap it is
// llama.cpp that chooses.
#pragma once

#include <llama.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace llamawire {

class SpecialTokens {
  public:
    // Parts are of this many bytes at least.
    static constexpr size_t kPartBytes = 4096;

    explicit SpecialTokens(const llama_vocab* vocab);

    // The text in parts whose tokens, one behind the other, are those of the text. `parse_special`
    // as for llama_tokenize. Views into `text`, which is one part if it is short.
    std::vector<std::string_view> parts(std::string_view text, bool parse_special,
                                        size_t part_bytes = kPartBytes) const;

  private:
    struct Spelling {
        std::string text;
        bool is_control;  // ordinary text unless special tokens are parsed
        bool strips_left;
    };

    bool is_cut(std::string_view text, size_t at, bool parse_special) const;
    // The spellings that begin with the two bytes there.
    const std::vector<Spelling>& candidates(std::string_view text, size_t at) const;

    std::unordered_map<uint16_t, std::vector<Spelling>> spellings_;  // by their first two bytes
    std::vector<Spelling> none_;
    size_t longest_ = 0;
};

}  // namespace llamawire
