#include "grammar.h"

#include <algorithm>
#include <ctime>
#include <limits>
#include <numeric>
#include <utility>

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

// Fills in what else there is: ends, and what is usable.
std::vector<Token> GrammarVocabulary::sort_usable() {
    std::vector<Token> sorted;
    usable_.assign(static_cast<size_t>(model_.info().vocab_size), false);
    for (Token token = 0; token < model_.info().vocab_size; ++token) {
        const std::string_view piece = model_.piece(token);
        const bool has_text = !piece.empty() && piece.find('\0') == std::string_view::npos;
        if (!model_.is_end(token) && !has_text) continue;
        usable_[static_cast<size_t>(token)] = true;
        (model_.is_end(token) ? ends_ : sorted).push_back(token);
    }
    std::sort(sorted.begin(), sorted.end(),
              [&](Token a, Token b) { return model_.piece(a) < model_.piece(b); });
    return sorted;
}

GrammarVocabulary::GrammarVocabulary(const Model& model) : model_(model) {
    const Token none = model.info().vocab_size;
    const std::vector<Token> sorted = sort_usable();
    const auto is_below = [&](Token token, Token parent) {
        const std::string_view piece = model.piece(token);
        const std::string_view begin = model.piece(parent);
        return piece.size() > begin.size() && piece.substr(0, begin.size()) == begin;
    };
    // In this order a token comes behind those that it begins with: they are on the path.
    std::vector<Token> parents;
    std::vector<Token> path;
    begins_.assign(static_cast<size_t>(none) + 2, 0);
    for (Token token : sorted) {
        while (!path.empty() && !is_below(token, path.back())) path.pop_back();
        parents.push_back(path.empty() ? none : path.back());
        ++begins_[static_cast<size_t>(parents.back()) + 1];
        path.push_back(token);
    }
    std::partial_sum(begins_.begin(), begins_.end(), begins_.begin());
    branches_.resize(begins_.back());
    std::vector<uint32_t> next = begins_;
    for (size_t i = 0; i < sorted.size(); ++i) {
        const size_t known = parents[i] == none ? 0 : model.piece(parents[i]).size();
        const auto byte = static_cast<uint8_t>(model.piece(sorted[i])[known]);
        branches_[next[static_cast<size_t>(parents[i])]++] = {sorted[i], 0, byte};
    }
    for (Token parent = 0; parent <= none; ++parent) {
        const Branches those = below(parent);
        for (uint32_t place = those.end; place-- > those.begin;) {
            const bool is_last =
                place + 1 == those.end || branches_[place].byte != branches_[place + 1].byte;
            branches_[place].behind = is_last ? place + 1 : branches_[place + 1].behind;
        }
    }
}

GrammarConstraint::GrammarConstraint(const GrammarVocabulary& vocabulary,
                                     std::shared_ptr<Automaton> automaton, std::vector<Token> marks)
    : vocabulary_(vocabulary),
      marks_(std::move(marks)),
      automaton_(std::move(automaton)),
      place_(automaton_) {}

bool GrammarConstraint::is_mark(Token token) const {
    return std::find(marks_.begin(), marks_.end(), token) != marks_.end();
}

bool GrammarConstraint::is_complete() {
    const std::scoped_lock lock(automaton_->mutex());
    return !is_over_ && !vocabulary_.ends().empty() && Automaton::Cursor(place_).is_complete();
}

std::string_view GrammarConstraint::text_of(Token token) const {
    const Model& model = vocabulary_.model();
    return is_mark(token) ? model.spelling(token) : model.piece(token);
}

bool GrammarConstraint::allows(Token token, Automaton::Cursor* cursor) const {
    if (!vocabulary_.is_usable(token) && !is_mark(token)) return false;
    if (vocabulary_.model().is_end(token)) return cursor->is_complete();
    return automaton_->read(cursor, text_of(token));
}

void GrammarConstraint::filter(Candidate* candidates, size_t count) {
    const std::scoped_lock lock(automaton_->mutex());
    for (size_t i = 0; i < count; ++i) {
        Automaton::Cursor cursor(place_);
        if (is_over_ || !allows(candidates[i].id, &cursor)) candidates[i].logit = kRefused;
    }
}

struct GrammarConstraint::Level {
    GrammarVocabulary::Branches branches;
    size_t known;  // bytes that their parent has, and the cursor has read
    Automaton::Cursor cursor;
};

// False: they are more than `max`, or those that may come from any place with this state are more
// than `crowd`.
bool GrammarConstraint::list(size_t max, size_t crowd, std::vector<Token>* tokens) {
    const std::scoped_lock lock(automaton_->mutex());
    if (is_over_) return true;
    if (max <= kFewMax && automaton_->is_crowded(place_)) return false;
    const Automaton::Cursor here(place_);
    if (here.is_complete()) {
        tokens->insert(tokens->end(), vocabulary_.ends().begin(), vocabulary_.ends().end());
    }
    for (Token mark : marks_) {
        Automaton::Cursor cursor = here;
        // One that is usable or an end stands among the others.
        if (!vocabulary_.is_usable(mark) && allows(mark, &cursor)) tokens->push_back(mark);
    }
    std::vector<Level> open = {{vocabulary_.roots(), 0, here}};
    size_t local = 0;
    while (!open.empty()) {
        const Level level = std::move(open.back());
        open.pop_back();
        for (uint32_t place = level.branches.begin; place < level.branches.end;) {
            const GrammarVocabulary::Branch& first = vocabulary_.branch(place);
            const char byte = static_cast<char>(first.byte);
            Automaton::Cursor cursor = level.cursor;
            if (automaton_->read(&cursor, {&byte, 1})) {
                local += list_behind(place, level.known + 1, cursor, tokens, &open);
            }
            place = first.behind;
            if (local > crowd) automaton_->set_crowded(place_);
            if (local > crowd || tokens->size() > max) return false;
        }
    }
    return true;
}

// Of the branches from `place` on that go on with the same byte, which the cursor has read. How
// many of them may come from any place with this state.
size_t GrammarConstraint::list_behind(uint32_t place, size_t known, const Automaton::Cursor& cursor,
                                      std::vector<Token>* tokens, std::vector<Level>* open) {
    size_t local = 0;
    const uint32_t end = vocabulary_.branch(place).behind;
    for (; place < end; ++place) {
        const Token token = vocabulary_.branch(place).token;
        const std::string_view piece = vocabulary_.model().piece(token);
        Automaton::Cursor behind = cursor;
        if (!automaton_->read(&behind, piece.substr(known))) continue;
        tokens->push_back(token);
        local += behind.is_local() ? 1 : 0;
        const GrammarVocabulary::Branches below = vocabulary_.below(token);
        if (below.begin < below.end) open->push_back({below, piece.size(), std::move(behind)});
    }
    return local;
}

void GrammarConstraint::accept(Token token) {
    const std::scoped_lock lock(automaton_->mutex());
    automaton_->tidy();
    Automaton::Cursor cursor(place_);
    if (is_over_ || !allows(token, &cursor)) {
        throw Error(Code::kInternal,
                    "token " + std::to_string(token) + " is not what the grammar allows");
    }
    is_over_ = vocabulary_.model().is_end(token);
    automaton_->move(&place_, cursor);
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
    return std::make_unique<GrammarConstraint>(vocabulary(), compiled(text, root),
                                               std::move(marks));
}

const GrammarVocabulary& Grammars::vocabulary() {
    std::call_once(vocabulary_made_,
                   [this] { vocabulary_ = std::make_unique<GrammarVocabulary>(model_); });
    return *vocabulary_;
}

Grammars::Compiled Grammars::compiled(const std::string& text, const std::string& root) {
    if (Compiled grammar = find(text, root)) return grammar;
    Compiled grammar;
    try {
        grammar = std::make_shared<Automaton>(read_gbnf(text, root));
        try_out(grammar);
    } catch (const Error& error) {
        if (error.code() != Code::kResourceExhausted) throw;
        throw Error(Code::kInvalidArgument, std::string("grammar: ") + error.what());
    }
    const std::scoped_lock lock(mutex_);
    kept_.push_front({text, root, grammar});
    if (kept_.size() > kKeptMax) kept_.pop_back();
    return grammar;
}

void Grammars::try_out(const Compiled& grammar) {
    std::unique_ptr<GrammarConstraint> trial;
    uint64_t size = 0;
    for (uint64_t count = 0; count < kTrialTokens; ++count) {
        if (trial == nullptr || size == kTrialTextTokens) {
            trial = std::make_unique<GrammarConstraint>(vocabulary(), grammar);
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
    const GrammarVocabulary::Branches roots = vocabulary().roots();
    for (uint32_t place = roots.begin; place < roots.end; ++place) {
        asked.push_back({0.0F, 0.0F, vocabulary().branch(place).token});
    }
    text->filter(asked.data(), asked.size());
    const auto is_out = [](const Candidate& candidate) { return candidate.logit == kRefused; };
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
