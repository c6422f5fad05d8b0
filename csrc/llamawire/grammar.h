// Grammars: text in GBNF to constraints of rows, by llama.cpp's grammar sampler.
//
// A grammar is compiled once and kept; a row gets a copy. llama.cpp's sampler is only ever asked
// about the candidates at hand, since a look at every token of a vocabulary takes milliseconds:
//
//   * To find all tokens that may come, the tree of the vocabulary is walked down: below a token
//     are those that begin with it, and where it may not come, none of them may.
//   * Tokens without text of their own (control tokens), with a NUL, or that would make a text that
//     is not UTF-8, never come, whatever the grammar says: the reader would not see what it saw.
//     Marks (text.h) are the exception: the grammar reads them as they are spelt.
//
// llama.cpp ends the process when it is made to accept what its grammar forbids, so `accept` asks
// first.
//
// Threads: Grammars is for any thread; a constraint for one at a time.
#pragma once

#include <llama-cpp.h>

#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "constraint.h"
#include "gbnf.h"
#include "model.h"

namespace llamawire {

// A model's tokens as grammars see them: a forest in which a token hangs below the longest other
// token that it begins with.
class GrammarVocabulary {
  public:
    explicit GrammarVocabulary(const Model& model);

    bool is_usable(Token token) const { return usable_[static_cast<size_t>(token)]; }
    // Those that hang below no other, and the ends of generation.
    const std::vector<Token>& roots() const { return roots_; }
    // One of the ends of generation; -1 where there is none.
    Token end() const { return end_; }
    void append_below(Token token, std::vector<Token>* tokens) const;
    const Model& model() const { return model_; }

  private:
    const Model& model_;
    std::vector<bool> usable_;
    std::vector<Token> roots_;
    Token end_ = -1;
    std::vector<Token> below_;      // those below token 0, below token 1 ...
    std::vector<uint32_t> begins_;  // where those of a token begin; one more than tokens
};

// Where in a character a text stands.
class Utf8Place {
  public:
    // False, and of no more use, if these bytes cannot follow.
    bool feed(std::string_view bytes);

  private:
    int missing_ = 0;                         // bytes until the character is whole
    unsigned char low_ = 0x80, high_ = 0xBF;  // range of the next one
};

class GrammarConstraint : public Constraint {
  public:
    // `marks` are control tokens that may come where the grammar takes their spelling.
    GrammarConstraint(const GrammarVocabulary& vocabulary, llama_sampler_ptr grammar,
                      std::vector<Token> marks = {});

    void filter(Candidate* candidates, size_t count) override;
    void list_allowed(std::vector<Token>* tokens) override;
    void accept(Token token) override;

    // Whether the text may end here.
    bool is_complete();
    std::string_view text_of(Token token) const;

  private:
    bool is_mark(Token token) const;
    bool fits(Token token) const;

    const GrammarVocabulary& vocabulary_;
    llama_sampler_ptr grammar_;
    std::vector<Token> marks_;
    Utf8Place place_;
    bool is_over_ = false;  // an end of generation was accepted
    std::vector<llama_token_data> asked_;
    std::vector<Candidate> level_;
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
    // this. llama.cpp keeps every reading of an ambiguous text, and each character may multiply
    // them.
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
    using Compiled = std::shared_ptr<const llama_sampler>;
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
    void try_out(const llama_sampler* grammar);
    bool extend(Constraint* text, double number);

    const Model& model_;
    std::once_flag vocabulary_made_;
    std::unique_ptr<const GrammarVocabulary> vocabulary_;  // made for the first grammar
    std::mutex mutex_;
    std::list<Kept> kept_;  // the last used in front
};

}  // namespace llamawire
