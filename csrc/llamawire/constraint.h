// What a row's tokens must obey, as the sampler sees it.
//
// A constraint has a state, the tokens accepted so far, and so belongs to one row. `grammar.h` has
// the one kind there is; tests have small ones of their own.
#pragma once

#include <cstddef>
#include <vector>

#include "options.h"

namespace llamawire {

struct Candidate {
    float logit;
    float p;
    Token id;
};

class Constraint {
  public:
    virtual ~Constraint() = default;
    // Sets the logit of each candidate that may not come next to -infinity. The cost is that of
    // the candidates, not of the vocabulary.
    virtual void filter(Candidate* candidates, size_t count) = 0;
    // Appends all tokens that may come next, in no order. The cost is that of these tokens and of
    // those that go on where one of them ends.
    virtual void list_allowed(std::vector<Token>* tokens) = 0;
    // The same where they are so few that it is cheaper than to look at a row of logits; else
    // false, with some of them.
    virtual bool list_few(std::vector<Token>* tokens) = 0;
    // Takes the token that was drawn. Throws Error(kInternal), and stays as it was, if the token
    // may not come next.
    virtual void accept(Token token) = 0;
};

}  // namespace llamawire
