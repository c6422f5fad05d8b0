// Grammars: text in GBNF to constraints of rows.
//
// A grammar is compiled once, to an automaton (automaton.h) that all rows with this grammar share
// and that knows more the longer it is used; a row has its place in it. llama.cpp's own sampler for
// grammars is what the tests compare with.
//
//   * To find all tokens that may come, the tree of the vocabulary is walked down: below a token
//     are those that begin with it, and where it may not come, none of them may.
//   * Tokens without text of their own (control tokens), with a NUL, or that would make a text that
//     is not UTF-8, never come, whatever the grammar says: the reader would not see what it saw.
//     Marks (text.h) are the exception: the grammar reads them as they are spelt.
//
// Threads: Grammars is for any thread; a constraint for one at a time.
#pragma once

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "automaton.h"
#include "constraint.h"
#include "model.h"

namespace llamawire {

// A model's tokens as grammars see them: a forest in which a token hangs below the longest other
// token that it begins with.
class GrammarVocabulary {
  public:
    // A token below another, or below none. Those below one stand together in the order of their
    // bytes.
    struct Branch {
        Token token;
        uint32_t behind;  // place of the next one that goes on with another byte
        uint8_t byte;     // the one it goes on with
    };
    struct Branches {
        uint32_t begin, end;  // places
    };

    explicit GrammarVocabulary(const Model& model);

    bool is_usable(Token token) const { return usable_[static_cast<size_t>(token)]; }
    const std::vector<Token>& ends() const { return ends_; }  // of generation
    const Branch& branch(uint32_t place) const { return branches_[place]; }
    Branches roots() const { return below(model_.info().vocab_size); }
    Branches below(Token token) const {
        const auto place = static_cast<size_t>(token);
        return {begins_[place], begins_[place + 1]};
    }
    const Model& model() const { return model_; }

  private:
    std::vector<Token> sort_usable();

    const Model& model_;
    std::vector<bool> usable_;
    std::vector<Token> ends_;
    std::vector<Branch> branches_;  // those below token 0, below token 1 ... below none
    std::vector<uint32_t> begins_;  // where those of each begin, and the end
};

class GrammarConstraint : public Constraint {
  public:
    // `marks` are control tokens that may come where the grammar takes their spelling.
    GrammarConstraint(const GrammarVocabulary& vocabulary, std::shared_ptr<Automaton> automaton,
                      std::vector<Token> marks = {});

    void filter(Candidate* candidates, size_t count) override;
    void list_allowed(std::vector<Token>* tokens) override { list(SIZE_MAX, SIZE_MAX, tokens); }
    bool list_few(std::vector<Token>* tokens) override { return list(kFewMax, kCrowd, tokens); }
    void accept(Token token) override;

    // Whether the text may end here.
    bool is_complete();
    std::string_view text_of(Token token) const;

  private:
    static constexpr size_t kFewMax = 2048;
    // Where so many may come, whatever the row returns to, they are not few. This is noted, so that
    // the next look ends at once.
    static constexpr size_t kCrowd = 1024;

    struct Level;  // of the tree

    bool is_mark(Token token) const;

    bool list(size_t max, size_t crowd, std::vector<Token>* tokens);
    size_t list_behind(uint32_t place, size_t known, const Automaton::Cursor& cursor,
                       std::vector<Token>* tokens, std::vector<Level>* open);
    // Leads the cursor through the token.
    bool allows(Token token, Automaton::Cursor* cursor) const;

    const GrammarVocabulary& vocabulary_;
    const std::vector<Token> marks_;
    const std::shared_ptr<Automaton> automaton_;
    Automaton::Place place_;
    bool is_over_ = false;  // an end of generation was accepted
};

// A grammar of what comes before the answer, and behind it the answer's own, in which marks are no
// text. The frame is over with the first mark, a token of its own or spelt out, behind which it is
// complete.
class FramedConstraint : public Constraint {
  public:
    FramedConstraint(std::unique_ptr<GrammarConstraint> frame, std::unique_ptr<Constraint> answer,
                     std::vector<std::string> marks);

    void filter(Candidate* candidates, size_t count) override { now().filter(candidates, count); }
    void list_allowed(std::vector<Token>* tokens) override { now().list_allowed(tokens); }
    bool list_few(std::vector<Token>* tokens) override { return now().list_few(tokens); }
    void accept(Token token) override;

  private:
    Constraint& now() { return frame_ != nullptr ? *frame_ : *answer_; }
    bool is_behind_mark() const;

    std::unique_ptr<GrammarConstraint> frame_;  // null once it is over
    std::unique_ptr<Constraint> answer_;
    std::vector<std::string> marks_;
    std::string tail_;  // the end of the frame's text, as long as a mark may be
};

class Grammars {
  public:
    static constexpr size_t kKeptMax = 64;
    // A new grammar is tried on texts of so many tokens in all, of which none may take longer than
    // this. Every reading of an ambiguous text is kept, and each character may multiply them.
    static constexpr uint64_t kTrialTokens = 300;
    static constexpr uint64_t kTrialTextTokens = 50;
    static constexpr std::chrono::milliseconds kTrialTimeMax{50};

    // `model` outlives it.
    explicit Grammars(const Model& model) : model_(model) {}

    // A constraint at the beginning of rule `root`. Throws Error(kInvalidArgument) that says what
    // is wrong with the text. Takes milliseconds for a new text.
    std::unique_ptr<Constraint> constraint(const std::string& text, const std::string& root);
    // The same for all that a job says of grammars.
    std::unique_ptr<Constraint> constraint(const JobOptions& options);
    // Does the part of it that takes time; throws as it does.
    void prepare(const std::string& text, const std::string& root) { compiled(text, root); }

  private:
    using Compiled = std::shared_ptr<Automaton>;
    struct Kept {
        std::string text;
        std::string root;
        Compiled grammar;
    };

    std::unique_ptr<GrammarConstraint> begin(const std::string& text, const std::string& root,
                                             std::vector<Token> marks);
    Compiled compiled(const std::string& text, const std::string& root);
    Compiled find(const std::string& text, const std::string& root);
    const GrammarVocabulary& vocabulary();
    void try_out(const Compiled& grammar);
    bool extend(Constraint* text, double number);

    const Model& model_;
    std::once_flag vocabulary_made_;
    std::unique_ptr<const GrammarVocabulary> vocabulary_;  // made for the first grammar
    std::mutex mutex_;
    std::list<Kept> kept_;  // the last used in front
};

}  // namespace llamawire
