// From token pieces to text that can be shown: stop strings, whole UTF-8, what was shown before.
//
// A piece is bytes, perhaps half a character, perhaps the beginning of a stop string. Three filters
// stand behind each other, fed byte by byte, so that it does not matter where tokens end:
//
//   StopMatcher  cuts the text where the earliest occurrence of any stop string begins. Bytes that
//                may still turn out to be part of one are held back.
//   Utf8Gate     holds back an incomplete character, and writes U+FFFD for what can be none.
//   Text         drops the bytes that reached the reader before a crash, collects the rest.
//
// Marks are control tokens that the reader has to know of: the frame of channels, say. They are not
// part of what a model says, so a stop string neither matches one nor goes across it. A mark comes
// out whole, between two signs that Unicode keeps for such use, kMarkBegin and kMarkEnd.
//
// The work is linear in the length of the text (Aho-Corasick); what is held back is never longer
// than the longest stop string.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace llamawire {

constexpr std::string_view kMarkBegin = "\xEF\xB7\x90";  // U+FDD0, a noncharacter
constexpr std::string_view kMarkEnd = "\xEF\xB7\x91";    // U+FDD1

class StopMatcher {
  public:
    explicit StopMatcher(const std::vector<std::string>& stops);

    // Appends to `out` the bytes that became certain. True: a stop string occurs, the text ends
    // before it and nothing more may be fed.
    bool feed(std::string_view bytes, std::string* out);

    // The generation is over: appends what was held back. A stop string that is complete but waited
    // for a longer one that began earlier cuts here too; true says so.
    bool finish(std::string* out);
    // After `finish` gave false: what is fed next begins a text of its own.
    void restart();

  private:
    // A prefix of one or more stop strings; node 0 is the empty one.
    struct Node {
        uint32_t first_child = 0;
        uint32_t next_sibling = 0;
        uint32_t fallback = 0;      // the longest proper suffix that is a prefix too
        uint32_t depth = 0;         // length of the prefix
        uint32_t match_length = 0;  // of the longest stop string that ends here; 0: none
        char byte = 0;
    };

    void add(const std::string& stop);
    void link();
    uint32_t child(uint32_t node, char byte) const;
    uint32_t step(uint32_t node, char byte) const;
    void release(uint64_t end, std::string* out);

    static constexpr uint64_t kNone = UINT64_MAX;

    std::vector<Node> nodes_;
    uint32_t node_ = 0;      // the longest suffix of the text that is a prefix of a stop string
    uint64_t fed_ = 0;       // bytes of text so far
    uint64_t cut_ = kNone;   // where the earliest complete stop string begins
    std::string held_;       // the last bytes of the text, not released
    uint64_t released_ = 0;  // bytes before held_
};

class Utf8Gate {
  public:
    // Appends to `out` the characters that are whole; bytes that can begin none become U+FFFD.
    void feed(std::string_view bytes, std::string* out);
    // An incomplete character becomes U+FFFD.
    void finish(std::string* out);

  private:
    void begin(unsigned char byte, std::string* out);

    char held_[4] = {};
    uint8_t held_count_ = 0;
    uint8_t missing_ = 0;                     // bytes until the character is whole
    unsigned char low_ = 0x80, high_ = 0xBF;  // range of the next one
};

class Text {
  public:
    // `skip_bytes` of the text have been delivered before and do not come again.
    Text(const std::vector<std::string>& stops, uint64_t skip_bytes);

    // Takes a token's piece. True: a stop string ended the text; feed nothing more.
    bool feed(std::string_view piece);
    // Takes a mark. True: a stop string ended the text in front of it.
    bool feed_mark(std::string_view mark);
    // The generation ended otherwise: what was held back is let go. True: a stop string after all.
    bool finish();
    // The text that became certain since the last call: whole UTF-8.
    std::string take();

  private:
    void pass_on(std::string_view bytes);
    bool let_go();
    void close();
    void drop_delivered(size_t before);

    StopMatcher stops_;
    Utf8Gate gate_;
    bool has_stops_;
    bool closed_ = false;
    uint64_t skip_bytes_;
    std::string certain_;  // scratch between the first two filters
    std::string out_;
};

}  // namespace llamawire
