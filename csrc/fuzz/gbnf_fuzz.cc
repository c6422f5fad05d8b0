// Grammars of any text, and texts that go through those that are taken: reading and compiling end
// in little time and memory, with a grammar or a sentence, and the states that are made on the way,
// kept or dropped, come to the same answer.
//
// The input is the grammar, a NUL, and bytes that steer the text: among those that may follow, each
// says which one does.
#include <algorithm>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "llamawire/automaton.h"
#include "llamawire/error.h"
#include "llamawire/gbnf.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr size_t kStepsMax = 64;

bool may_follow(Automaton* automaton, const Automaton::Place& place, std::string_view bytes) {
    Automaton::Cursor cursor(place);
    return automaton->read(&cursor, bytes);
}

std::string follow(const std::shared_ptr<Automaton>& automaton, std::string_view steering) {
    Automaton::Place place(automaton);
    const std::scoped_lock lock(automaton->mutex());
    std::string text;
    for (const char steer : steering.substr(0, kStepsMax)) {
        std::string allowed;
        for (int byte = 0; byte < 256; ++byte) {
            const char c = static_cast<char>(byte);
            if (may_follow(automaton.get(), place, {&c, 1})) allowed.push_back(c);
        }
        if (allowed.empty()) return text;
        const char next = allowed[static_cast<uint8_t>(steer) % allowed.size()];
        Automaton::Cursor cursor(place);
        REQUIRE(automaton->read(&cursor, {&next, 1}));
        automaton->move(&place, cursor);
        text.push_back(next);
        if (steer == '~') automaton->tidy();
    }
    return text;
}

void check(std::string_view input) {
    const size_t end = std::min(input.find('\0'), input.size());
    try {
        const Gbnf grammar = read_gbnf(input.substr(0, end), "root");
        const auto automaton = std::make_shared<Automaton>(grammar);
        const std::string text = follow(automaton, input.substr(end));
        const auto fresh = std::make_shared<Automaton>(grammar);
        const Automaton::Place start(fresh);
        const std::scoped_lock lock(fresh->mutex());
        REQUIRE(may_follow(fresh.get(), start, text));
    } catch (const Error& error) {
        REQUIRE(error.code() == Code::kInvalidArgument || error.code() == Code::kResourceExhausted);
        REQUIRE(error.what()[0] != '\0');
    }
}

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    llamawire::check({reinterpret_cast<const char*>(bytes), size});
    return 0;
}
