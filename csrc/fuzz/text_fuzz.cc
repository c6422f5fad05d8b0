// Pieces of any bytes, stop strings and marks: where a text is cut must not depend on where its
// tokens end, nothing but UTF-8 comes out, and who goes on after a crash sees the same text.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "llamawire/text.h"
#include "require.h"

namespace llamawire {

namespace {

struct Piece {
    std::string bytes;
    bool is_mark = false;
};

// Few letters, so that stop strings occur and overlap; now and then any bytes.
std::string take_bytes(FuzzedDataProvider* data, size_t most) {
    constexpr char kLetters[] = {'a', 'b', 'c', '\xE4', '\xBD', '\xA0', '\xF0', '\xEF'};
    if (data->ConsumeIntegralInRange<int>(0, 3) == 0) return data->ConsumeRandomLengthString(most);
    std::string bytes(data->ConsumeIntegralInRange<size_t>(0, most), '\0');
    for (char& byte : bytes) byte = data->PickValueInArray(kLetters);
    return bytes;
}

std::string show(const std::vector<Piece>& pieces, const std::vector<std::string>& stops,
                 uint64_t skip_bytes, bool* stopped) {
    Text text(stops, skip_bytes);
    std::string shown;
    *stopped = false;
    for (const Piece& piece : pieces) {
        *stopped = piece.is_mark ? text.feed_mark(piece.bytes) : text.feed(piece.bytes);
        shown += text.take();
        if (*stopped) return shown;
    }
    *stopped = text.finish();
    return shown + text.take();
}

std::vector<Piece> one_by_one(const std::vector<Piece>& pieces) {
    std::vector<Piece> bytes;
    for (const Piece& piece : pieces) {
        if (piece.is_mark) bytes.push_back(piece);
        for (char byte : piece.is_mark ? "" : piece.bytes) bytes.push_back({{byte}});
    }
    return bytes;
}

// What UTF-8 may be, said another way than in text.cc: by the numbers.
bool is_utf8(const std::string& text) {
    for (size_t i = 0; i < text.size();) {
        const auto lead = static_cast<unsigned char>(text[i]);
        const size_t length = lead < 0x80   ? 1
                              : lead < 0xC0 ? 0
                              : lead < 0xE0 ? 2
                              : lead < 0xF0 ? 3
                              : lead < 0xF8 ? 4
                                            : 0;
        if (length == 0 || i + length > text.size()) return false;
        uint32_t number = length == 1 ? lead : lead & (0x7FU >> length);
        for (size_t k = 1; k < length; ++k) {
            const auto byte = static_cast<unsigned char>(text[i + k]);
            if ((byte & 0xC0U) != 0x80U) return false;
            number = number << 6U | (byte & 0x3FU);
        }
        constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
        const bool is_surrogate = number >= 0xD800 && number <= 0xDFFF;
        if (number < kLeast[length] || number > 0x10FFFF || is_surrogate) return false;
        i += length;
    }
    return true;
}

void check(FuzzedDataProvider* data) {
    std::vector<std::string> stops(data->ConsumeIntegralInRange<size_t>(0, 5));
    for (std::string& stop : stops) stop = take_bytes(data, 9);
    stops.erase(std::remove(stops.begin(), stops.end(), ""), stops.end());
    std::vector<Piece> pieces(data->ConsumeIntegralInRange<size_t>(0, 16));
    std::string whole;
    bool has_marks = false;
    for (Piece& piece : pieces) {
        piece.is_mark = data->ConsumeIntegralInRange<int>(0, 7) == 0;
        piece.bytes = piece.is_mark ? "<mark>" : take_bytes(data, 12);
        has_marks = has_marks || piece.is_mark;
        whole += piece.bytes;
    }

    bool stopped = false;
    const std::string shown = show(pieces, stops, 0, &stopped);
    REQUIRE(is_utf8(shown));
    bool stopped_too = false;
    REQUIRE(show(one_by_one(pieces), stops, 0, &stopped_too) == shown);
    REQUIRE(stopped == stopped_too);

    const auto skip = data->ConsumeIntegralInRange<size_t>(0, shown.size() + 2);
    const std::string rest = shown.substr(std::min(skip, shown.size()));
    REQUIRE(show(pieces, stops, skip, &stopped_too) == rest);

    if (has_marks) return;
    size_t cut = whole.size();
    for (const std::string& stop : stops) cut = std::min(cut, whole.find(stop));
    REQUIRE(stopped == (cut < whole.size()));
    REQUIRE(shown == show({{whole.substr(0, cut)}}, {}, 0, &stopped_too));
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::check(&data);
    return 0;
}
