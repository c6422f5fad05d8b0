// Our grammars against llama.cpp's: random grammars, random texts, and after each token the same
// tokens may come next.
//
// There are differences, all on purpose. Bytes that make no UTF-8, NUL, and control tokens never
// come here; llama.cpp takes the latter's names for text.
// llama.cpp refuses the first byte of a character where a negated class leaves out another one with
// the same beginning; here it may come. And llama.cpp lets such a byte come where none of the
// characters that it begins can.
#include <doctest/doctest.h>
#include <llama-cpp.h>

#include <random>
#include <string>
#include <vector>

#include "llamawire/error.h"
#include "llamawire/grammar.h"
#include "tiny_model.h"

namespace llamawire {

namespace {

constexpr int kGrammars = 30;
constexpr int kTokensMax = 8;
constexpr int kRules = 4;

// Rule i refers to later rules freely, to all of them behind a character only: no left recursion.
class GrammarWriter {
  public:
    explicit GrammarWriter(uint32_t seed) : random_(seed) {}

    std::string write() {
        std::string text;
        for (int rule = 0; rule < kRules; ++rule) {
            text += (rule == 0 ? "root" : name(rule)) + " ::= " + alternatives(rule, 2) + "\n";
        }
        return text;
    }

  private:
    int below(int end) { return std::uniform_int_distribution<int>(0, end - 1)(random_); }
    static std::string name(int rule) { return "r" + std::to_string(rule); }

    std::string alternatives(int rule, int depth) {
        std::string text;
        for (int i = below(3); i >= 0; --i) {
            text += sequence(rule, depth);
            if (i > 0) text += " | ";
        }
        return text;
    }

    std::string sequence(int rule, int depth) {
        std::string text;
        bool is_guarded = false;
        for (int i = below(4); i >= 0; --i) {
            switch (below(depth > 0 ? 5 : 4)) {
                case 0:
                    text += literal();
                    is_guarded = true;
                    break;
                case 1:
                    text += character_class();
                    is_guarded = true;
                    break;
                case 2:
                    if (is_guarded) text += below(kRules) == 0 ? "root" : name(1 + below(3));
                    break;
                case 3:
                    if (rule + 1 < kRules) text += name(rule + 1 + below(kRules - rule - 1));
                    break;
                default:
                    text += "(" + alternatives(rule, depth - 1) + ")" + repetition();
            }
            text += " ";
        }
        return text;
    }

    std::string literal() {
        const std::string characters[] = {"a", "b",      "ab",     "abc", "\\\"",
                                          "{", "\u00e9", "\u20ac", "1"};
        return "\"" + characters[below(9)] + "\"" + (below(4) == 0 ? repetition() : "");
    }

    std::string character_class() {
        const std::string classes[] = {
            "[a-c]", "[^a]",   "[b1-9]",     "[\u00e0-\u00ff]",    "[^\\x00-\\x1f\"]",
            ".",     "[\\n ]", "[^\u00e9a]", "[\u0800-\U0001F600]"};
        return classes[below(9)] + (below(3) == 0 ? repetition() : "");
    }

    std::string repetition() {
        const std::string counts[] = {"*", "+", "?", "{2}", "{0,2}", "{1,}", "{1,3}", ""};
        return counts[below(8)];
    }

    std::mt19937 random_;
};

bool ends_whole(const std::string& text) {
    size_t begin = text.size();
    while (begin > 0 && (static_cast<unsigned char>(text[begin - 1]) & 0xC0U) == 0x80U) --begin;
    if (begin == 0) return begin == text.size();
    const auto lead = static_cast<unsigned char>(text[begin - 1]);
    const size_t behind = lead >= 0xF0 ? 3 : lead >= 0xE0 ? 2 : lead >= 0xC0 ? 1 : 0;
    return text.size() - begin == behind;
}

// Compares what may come after `text`, and returns what may by both.
std::vector<Token> compare(const Model& model, Constraint* ours, llama_sampler* theirs,
                           const std::string& text) {
    std::vector<Token> both;
    for (Token token = 0; token < model.info().vocab_size; ++token) {
        Candidate candidate = {1.0F, 0.0F, token};
        ours->filter(&candidate, 1);
        const bool we_allow = candidate.logit == 1.0F;
        llama_token_data data = {token, 1.0F, 0.0F};
        llama_token_data_array array = {&data, 1, -1, false};
        llama_sampler_apply(theirs, &array);
        const bool they_allow = data.logit == 1.0F;
        const std::string piece(model.piece(token));
        if (model.is_end(token) || (ends_whole(text) && ends_whole(text + piece))) {
            const bool has_text = !piece.empty() && piece.find('\0') == std::string::npos;
            INFO(token);
            REQUIRE(we_allow == (they_allow && (model.is_end(token) || has_text)));
        }
        if (we_allow && they_allow) both.push_back(token);
    }
    return both;
}

}  // namespace

TEST_CASE("random texts in random grammars go on as llama.cpp's grammars do") {
    const auto model = load_tiny_model();
    Grammars grammars(*model);
    int compared = 0;
    for (uint32_t seed = 0; seed < kGrammars; ++seed) {
        const std::string text = GrammarWriter(seed).write();
        std::unique_ptr<Constraint> ours;
        try {
            ours = grammars.constraint(text, "root");
        } catch (const Error&) {
            continue;  // it says what it cannot take
        }
        INFO(text);
        const llama_sampler_ptr theirs(llama_sampler_init_grammar(
            llama_model_get_vocab(model->handle()), text.c_str(), "root"));
        if (theirs == nullptr) continue;  // it takes a repetition of nothing for left recursion
        std::mt19937 random(seed);
        std::string so_far;
        for (int i = 0; i < kTokensMax; ++i) {
            INFO(so_far);
            const std::vector<Token> both = compare(*model, ours.get(), theirs.get(), so_far);
            ++compared;
            if (both.empty()) break;
            const Token token = both[random() % both.size()];
            if (model->is_end(token)) continue;
            ours->accept(token);
            llama_sampler_accept(theirs.get(), token);
            so_far += model->piece(token);
        }
    }
    CHECK(compared > kGrammars);
}

}  // namespace llamawire
