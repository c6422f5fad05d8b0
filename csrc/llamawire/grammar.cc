#include "grammar.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <numeric>
#include <utility>

#include "backend.h"
#include "error.h"
#include "random.h"

namespace llamawire {

namespace {

constexpr float kRefused = -std::numeric_limits<float>::infinity();

// That this thread has worked, so that a busy machine makes no grammar look bad.
std::chrono::nanoseconds thread_time() {
    timespec now{};
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return std::chrono::seconds(now.tv_sec) + std::chrono::nanoseconds(now.tv_nsec);
}

}  // namespace

GrammarVocabulary::GrammarVocabulary(const Model& model) : model_(model) {
    const auto size = static_cast<size_t>(model.info().vocab_size);
    usable_.assign(size, false);
    std::vector<Token> sorted;
    for (Token token = 0; token < model.info().vocab_size; ++token) {
        const std::string_view piece = model.piece(token);
        const bool has_text = !piece.empty() && piece.find('\0') == std::string_view::npos;
        if (!model.is_end(token) && !has_text) continue;
        usable_[static_cast<size_t>(token)] = true;
        if (model.is_end(token)) {
            end_ = token;
            roots_.push_back(token);
        } else {
            sorted.push_back(token);
        }
    }
    std::sort(sorted.begin(), sorted.end(),
              [&](Token a, Token b) { return model.piece(a) < model.piece(b); });

    // In this order a token comes behind those that it begins with: they are on the path.
    std::vector<Token> parents(size, -1);
    std::vector<Token> path;
    begins_.assign(size + 1, 0);
    for (Token token : sorted) {
        const std::string_view piece = model.piece(token);
        const auto begins_with = [&](Token other) {
            return piece.substr(0, model.piece(other).size()) == model.piece(other);
        };
        while (!path.empty() && !begins_with(path.back())) path.pop_back();
        if (path.empty()) {
            roots_.push_back(token);
        } else {
            parents[static_cast<size_t>(token)] = path.back();
            ++begins_[static_cast<size_t>(path.back()) + 1];
        }
        path.push_back(token);
    }
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    below_.resize(begins_.back());
    std::vector<uint32_t> next = begins_;
    for (Token token : sorted) {
        const Token parent = parents[static_cast<size_t>(token)];
        if (parent >= 0) below_[next[static_cast<size_t>(parent)]++] = token;
    }
}

void GrammarVocabulary::append_below(Token token, std::vector<Token>* tokens) const {
    const auto begin = begins_[static_cast<size_t>(token)];
    const auto end = begins_[static_cast<size_t>(token) + 1];
    tokens->insert(tokens->end(), below_.begin() + begin, below_.begin() + end);
}

// Table 3-7 of the Unicode standard: which bytes may begin a character, and what may come second.
bool Utf8Place::feed(std::string_view bytes) {
    for (char c : bytes) {
        const auto byte = static_cast<unsigned char>(c);
        if (missing_ > 0) {
            if (byte < low_ || byte > high_) return false;
            --missing_;
            low_ = 0x80;
            high_ = 0xBF;
        } else if (byte >= 0x80) {
            if (byte < 0xC2 || byte > 0xF4) return false;
            missing_ = byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3;
            low_ = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
            high_ = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
        }
    }
    return true;
}

GrammarConstraint::GrammarConstraint(const GrammarVocabulary& vocabulary, llama_sampler_ptr grammar,
                                     std::vector<Token> marks)
    : vocabulary_(vocabulary), grammar_(std::move(grammar)), marks_(std::move(marks)) {}

bool GrammarConstraint::is_mark(Token token) const {
    return std::find(marks_.begin(), marks_.end(), token) != marks_.end();
}

bool GrammarConstraint::is_complete() {
    Candidate candidate = {0.0F, 0.0F, vocabulary_.end()};
    if (candidate.id < 0) return false;
    filter(&candidate, 1);
    return candidate.logit != kRefused;
}

bool GrammarConstraint::fits(Token token) const {
    if (!vocabulary_.is_usable(token) && !is_mark(token)) return false;
    if (vocabulary_.model().is_end(token)) return true;
    Utf8Place place = place_;
    return place.feed(text_of(token));
}

std::string_view GrammarConstraint::text_of(Token token) const {
    const Model& model = vocabulary_.model();
    return is_mark(token) ? model.spelling(token) : model.piece(token);
}

void GrammarConstraint::filter(Candidate* candidates, size_t count) {
    asked_.clear();
    for (size_t i = 0; i < count; ++i) {
        if (!is_over_ && fits(candidates[i].id)) {
            asked_.push_back({candidates[i].id, candidates[i].logit, 0.0F});
        } else {
            candidates[i].logit = kRefused;
        }
    }
    llama_token_data_array array = {asked_.data(), asked_.size(), -1, false};
    if (!asked_.empty()) llama_sampler_apply(grammar_.get(), &array);
    size_t next = 0;
    for (size_t i = 0; i < count && next < asked_.size(); ++i) {
        if (candidates[i].id != asked_[next].id) continue;
        candidates[i].logit = asked_[next++].logit;
    }
}

void GrammarConstraint::list_allowed(std::vector<Token>* tokens) {
    std::vector<Token> asked = vocabulary_.roots();
    asked.insert(asked.end(), marks_.begin(), marks_.end());
    while (!asked.empty()) {
        level_.clear();
        for (Token token : asked) level_.push_back({0.0F, 0.0F, token});
        filter(level_.data(), level_.size());
        asked.clear();
        for (const Candidate& candidate : level_) {
            if (candidate.logit == kRefused) continue;
            tokens->push_back(candidate.id);
            vocabulary_.append_below(candidate.id, &asked);
        }
    }
}

void GrammarConstraint::accept(Token token) {
    Candidate candidate = {0.0F, 0.0F, token};
    filter(&candidate, 1);
    if (candidate.logit == kRefused) {
        throw Error(Code::kInternal,
                    "token " + std::to_string(token) + " is not what the grammar allows");
    }
    if (vocabulary_.model().is_end(token)) {
        is_over_ = true;
        return;
    }
    llama_sampler_accept(grammar_.get(), token);
    place_.feed(text_of(token));
}

FramedConstraint::FramedConstraint(std::unique_ptr<GrammarConstraint> frame,
                                   std::unique_ptr<Constraint> answer,
                                   std::vector<std::string> marks)
    : frame_(std::move(frame)), answer_(std::move(answer)), marks_(std::move(marks)) {}

void FramedConstraint::accept(Token token) {
    now().accept(token);
    if (frame_ == nullptr) return;
    tail_ += frame_->text_of(token);
    if (tail_.size() > kMarkBytesMax) tail_.erase(0, tail_.size() - kMarkBytesMax);
    if (is_behind_mark() && frame_->is_complete()) frame_.reset();
}

bool FramedConstraint::is_behind_mark() const {
    return std::any_of(marks_.begin(), marks_.end(), [this](const std::string& mark) {
        return tail_.size() >= mark.size() &&
               tail_.compare(tail_.size() - mark.size(), mark.size(), mark) == 0;
    });
}

std::unique_ptr<Constraint> Grammars::constraint(const std::string& text, const std::string& root) {
    return begin(text, root, {});
}

std::unique_ptr<Constraint> Grammars::constraint(const JobOptions& options) {
    std::vector<Token> marks = model_.marks(options.marks);
    if (options.grammar_frame.empty()) {
        return begin(options.grammar, options.grammar_root, std::move(marks));
    }
    return std::make_unique<FramedConstraint>(
        begin(options.grammar_frame, "root", std::move(marks)),
        begin(options.grammar, options.grammar_root, {}), options.marks);
}

std::unique_ptr<GrammarConstraint> Grammars::begin(const std::string& text, const std::string& root,
                                                   std::vector<Token> marks) {
    const Compiled grammar = compiled(text, root);
    llama_sampler_ptr copy(llama_sampler_clone(grammar.get()));
    return std::make_unique<GrammarConstraint>(vocabulary(), std::move(copy), std::move(marks));
}

const GrammarVocabulary& Grammars::vocabulary() {
    std::call_once(vocabulary_made_,
                   [this] { vocabulary_ = std::make_unique<GrammarVocabulary>(model_); });
    return *vocabulary_;
}

Grammars::Compiled Grammars::compiled(const std::string& text, const std::string& root) {
    if (Compiled grammar = find(text, root)) return grammar;
    check_gbnf(text, root);
    vocabulary();
    llama_sampler* const grammar = llama_sampler_init_grammar(
        llama_model_get_vocab(model_.handle()), text.c_str(), root.c_str());
    if (grammar == nullptr) {
        throw Error(Code::kInvalidArgument, "grammar: " + Backend::take_errors());
    }
    Compiled kept(grammar, llama_sampler_deleter());
    try_out(grammar);
    const std::scoped_lock lock(mutex_);
    kept_.push_front({text, root, kept});
    if (kept_.size() > kKeptMax) kept_.pop_back();
    return kept;
}

void Grammars::try_out(const llama_sampler* grammar) {
    std::unique_ptr<GrammarConstraint> trial;
    uint64_t size = 0;
    for (uint64_t count = 0; count < kTrialTokens; ++count) {
        if (trial == nullptr || size == kTrialTextTokens) {
            llama_sampler_ptr copy(llama_sampler_clone(grammar));
            trial = std::make_unique<GrammarConstraint>(vocabulary(), std::move(copy));
            size = 0;
        }
        const auto begin = thread_time();
        const bool goes_on = extend(trial.get(), uniform(0, count, 0));
        if (thread_time() - begin > kTrialTimeMax) {
            throw Error(Code::kInvalidArgument,
                        "grammar: too ambiguous: one character takes more than " +
                            std::to_string(kTrialTimeMax.count()) + " ms");
        }
        ++size;
        if (!goes_on) trial.reset();
    }
}

// By a short token, so that the time grows slowly enough from one to the next. False: by none.
bool Grammars::extend(Constraint* text, double number) {
    std::vector<Candidate> asked;
    for (Token token : vocabulary().roots()) asked.push_back({0.0F, 0.0F, token});
    text->filter(asked.data(), asked.size());
    const auto is_out = [this](const Candidate& candidate) {
        return candidate.logit == kRefused || model_.is_end(candidate.id);
    };
    asked.erase(std::remove_if(asked.begin(), asked.end(), is_out), asked.end());
    if (asked.empty()) return false;
    const auto place = static_cast<size_t>(number * static_cast<double>(asked.size()));
    text->accept(asked[std::min(place, asked.size() - 1)].id);
    return true;
}

Grammars::Compiled Grammars::find(const std::string& text, const std::string& root) {
    const std::scoped_lock lock(mutex_);
    const auto found = std::find_if(kept_.begin(), kept_.end(), [&](const Kept& kept) {
        return kept.text == text && kept.root == root;
    });
    if (found == kept_.end()) return nullptr;
    kept_.splice(kept_.begin(), kept_, found);
    return kept_.front().grammar;
}

}  // namespace llamawire
