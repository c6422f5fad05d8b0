#include "model.h"

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <limits>
#include <utility>

#include "backend.h"
#include "error.h"
#include "file_check.h"

namespace llamawire {

namespace {

bool on_progress(float fraction, void* data) {
    auto* progress = static_cast<LoadProgress*>(data);
    progress->fraction.store(fraction, std::memory_order_relaxed);
    return !progress->cancelled.load(std::memory_order_relaxed);
}

// llama.cpp's answer is a null pointer whatever happened; this one failure can be named.
void check_readable(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) {
        throw Error(Code::kInvalidArgument, "cannot open " + path + ": " + std::strerror(errno));
    }
    std::fclose(file);
}

[[noreturn]] void throw_load_failure(const std::string& path, bool cancelled) {
    if (cancelled) throw Error(Code::kCancelled, "the load of " + path + " was cancelled");
    const std::string errors = Backend::take_errors();
    const bool memory = errors.find("alloc") != std::string::npos ||
                        errors.find("out of memory") != std::string::npos;
    throw Error(memory ? Code::kResourceExhausted : Code::kInvalidArgument,
                path + " could not be loaded: " + (errors.empty() ? "no reason given" : errors));
}

// llama.cpp's count: negative where `tokens` is too small. A vocabulary that lacks the tokens of
// single bytes throws at a text that needs them.
int32_t tokenize_into(const llama_vocab* vocab, std::string_view text, bool add_special,
                      bool parse_special, std::vector<Token>* tokens) {
    try {
        return llama_tokenize(vocab, text.data(), static_cast<int32_t>(text.size()), tokens->data(),
                              static_cast<int32_t>(tokens->size()), add_special, parse_special);
    } catch (const std::exception& error) {
        throw Error(Code::kInvalidArgument,
                    std::string("the vocabulary cannot express the text: ") + error.what());
    }
}

std::vector<Token> tokenized(const llama_vocab* vocab, std::string_view text, bool add_special,
                             bool parse_special) {
    std::vector<Token> tokens(text.size() + 2);
    for (;;) {
        const int32_t count = tokenize_into(vocab, text, add_special, parse_special, &tokens);
        if (count == std::numeric_limits<int32_t>::min()) {
            throw Error(Code::kInvalidArgument, "the text gives too many tokens");
        }
        tokens.resize(static_cast<size_t>(std::abs(count)));
        if (count >= 0) return tokens;
    }
}

// gpt-oss's frame of control tokens, which llama.cpp makes text of whatever the file says. They are
// text here only for those who ask for them (JobOptions::marks).
bool is_channel_mark(std::string_view text) {
    static constexpr std::string_view kMarks[] = {"<|start|>", "<|channel|>", "<|constrain|>",
                                                  "<|message|>"};
    return std::find(std::begin(kMarks), std::end(kMarks), text) != std::end(kMarks);
}

std::string metadata(const llama_model* model, const char* key) {
    char value[256];
    return llama_model_meta_val_str(model, key, value, sizeof(value)) < 0 ? "" : value;
}

}  // namespace

std::shared_ptr<Model> Model::load(const std::string& path, const ModelOptions& options,
                                   LoadProgress* progress) {
    Backend::start();
    check_readable(path);
    check_file(path);
    LoadProgress unwatched;
    if (progress == nullptr) progress = &unwatched;

    llama_model_params params = llama_model_default_params();
    params.n_gpu_layers = options.num_gpu;
    params.main_gpu = options.main_gpu;
    if (options.use_mmap == 0) params.load_mode = LLAMA_LOAD_MODE_NONE;
    if (options.use_mmap == 1) params.load_mode = LLAMA_LOAD_MODE_MMAP;
    params.progress_callback = on_progress;
    params.progress_callback_user_data = progress;

    Backend::take_errors();
    llama_model_ptr handle(llama_model_load_from_file(path.c_str(), params));
    if (handle == nullptr) throw_load_failure(path, progress->cancelled.load());
    progress->fraction.store(1.0F);
    try {
        std::shared_ptr<Model> model(new Model(std::move(handle)));
        for (const std::string& adapter : options.adapters) model->add_adapter(adapter);
        return model;
    } catch (const std::out_of_range&) {
        // llama.cpp's way to say that a token's text is not what its type says.
        throw Error(Code::kInvalidArgument, path + " has a damaged vocabulary");
    }
}

Model::Model(llama_model_ptr handle)
    : handle_(std::move(handle)), vocab_(llama_model_get_vocab(handle_.get())), special_(vocab_) {
    read_info();
    if (info_.has_vocab) read_vocabulary();
}

void Model::add_adapter(const std::string& path) {
    check_readable(path);
    Backend::take_errors();
    llama_adapter_lora* adapter = llama_adapter_lora_init(handle_.get(), path.c_str());
    if (adapter == nullptr) throw_load_failure(path, false);
    adapters_.push_back(adapter);
    info_.size_bytes += std::filesystem::file_size(path);
}

void Model::adapt(llama_context* context) const {
    if (adapters_.empty()) return;
    std::vector<llama_adapter_lora*> adapters = adapters_;
    std::vector<float> scales(adapters.size(), 1.0F);  // a file's alpha says how much
    llama_set_adapters_lora(context, adapters.data(), adapters.size(), scales.data());
}

void Model::read_info() {
    const llama_model* model = handle_.get();
    char description[256];
    llama_model_desc(model, description, sizeof(description));
    info_.description = description;
    info_.architecture = metadata(model, "general.architecture");
    info_.parameter_count = llama_model_n_params(model);
    info_.size_bytes = llama_model_size(model);
    info_.num_ctx_train = llama_model_n_ctx_train(model);
    info_.embedding_size = llama_model_n_embd(model);
    info_.embedding_input_size = llama_model_n_embd_inp(model);
    info_.layer_count = llama_model_n_layer(model);
    info_.has_encoder = llama_model_has_encoder(model);
    info_.has_decoder = llama_model_has_decoder(model);
    info_.is_recurrent = llama_model_is_recurrent(model) || llama_model_is_hybrid(model);
    info_.is_diffusion = llama_model_is_diffusion(model);
    info_.is_causal =
        metadata(model, (info_.architecture + ".attention.causal").c_str()) != "false";
    const llama_rope_type rope = llama_model_rope_type(model);
    info_.can_shift = info_.has_decoder && !info_.is_recurrent && rope != LLAMA_ROPE_TYPE_MROPE &&
                      rope != LLAMA_ROPE_TYPE_IMROPE;
    info_.has_vocab = llama_vocab_type(vocab_) != LLAMA_VOCAB_TYPE_NONE;
}

void Model::read_vocabulary() {
    info_.vocab_size = llama_vocab_n_tokens(vocab_);
    info_.bos_token = llama_vocab_bos(vocab_);
    info_.eos_token = llama_vocab_eos(vocab_);
    info_.sep_token = llama_vocab_sep(vocab_);
    // A file may ask for a BOS and name none; llama.cpp would abort the process over it.
    info_.adds_bos = llama_vocab_get_add_bos(vocab_) && has_token(info_.bos_token);
    info_.adds_eos = llama_vocab_get_add_eos(vocab_) && has_token(info_.eos_token);
    info_.adds_sep = llama_vocab_get_add_sep(vocab_) && has_token(info_.sep_token);
    if (has_token(info_.bos_token)) info_.bos_text = text_of(info_.bos_token, true);
    if (has_token(info_.eos_token)) info_.eos_text = text_of(info_.eos_token, true);
    info_.has_fim = llama_vocab_fim_pre(vocab_) >= 0 && llama_vocab_fim_suf(vocab_) >= 0;

    piece_ends_.reserve(static_cast<size_t>(info_.vocab_size));
    for (Token token = 0; token < info_.vocab_size; ++token) {
        std::string text = text_of(token, false);
        if (is_channel_mark(text)) text.clear();
        if (text.empty()) spellings_.emplace(token, text_of(token, true));
        if (text == "\n") newlines_.push_back(token);
        piece_bytes_ += text;
        piece_ends_.push_back(static_cast<uint32_t>(piece_bytes_.size()));
        ends_.push_back(llama_vocab_is_eog(vocab_, token));
    }

    int32_t count = 0;
    const llama_token* suppressed = llama_vocab_get_suppress_tokens(vocab_, &count);
    for (int32_t i = 0; i < count; ++i) {
        if (has_token(suppressed[i])) suppressed_.push_back(suppressed[i]);
    }
}

std::string Model::text_of(Token token, bool special) const {
    std::string text(32, '\0');
    int32_t size = llama_token_to_piece(vocab_, token, text.data(),
                                        static_cast<int32_t>(text.size()), 0, special);
    if (size < 0) {
        text.resize(static_cast<size_t>(-size));
        size = llama_token_to_piece(vocab_, token, text.data(), static_cast<int32_t>(text.size()),
                                    0, special);
    }
    text.resize(static_cast<size_t>(std::max(size, 0)));
    return text;
}

std::string_view Model::piece(Token token) const {
    const auto index = static_cast<size_t>(token);
    const uint32_t begin = index == 0 ? 0 : piece_ends_[index - 1];
    return std::string_view(piece_bytes_).substr(begin, piece_ends_[index] - begin);
}

std::string_view Model::spelling(Token token) const {
    const auto found = spellings_.find(token);
    return found == spellings_.end() ? std::string_view() : found->second;
}

std::vector<Token> Model::marks(const std::vector<std::string>& spellings) const {
    std::vector<Token> tokens;
    for (const auto& [token, spelling] : spellings_) {
        const bool is_one =
            std::find(spellings.begin(), spellings.end(), spelling) != spellings.end();
        if (is_one && !is_end(token)) tokens.push_back(token);
    }
    return tokens;
}

std::vector<Token> Model::tokenize(std::string_view text, bool add_special,
                                   bool parse_special) const {
    if (!info_.has_vocab) throw Error(Code::kInvalidArgument, "the model has no vocabulary");
    if (text.size() > std::numeric_limits<int32_t>::max() / 2) {
        throw Error(Code::kInvalidArgument, "the text is longer than 1 GiB");
    }
    // What the file asks for and cannot have (read_vocabulary) must not be asked of llama.cpp.
    const bool broken = (llama_vocab_get_add_bos(vocab_) && !info_.adds_bos) ||
                        (llama_vocab_get_add_eos(vocab_) && !info_.adds_eos) ||
                        (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_WPM &&
                         !(has_token(info_.bos_token) && has_token(info_.sep_token)));
    const bool adds = add_special && !broken;
    const std::vector<std::string_view> parts = special_.parts(text, parse_special);
    if (parts.size() == 1) return tokenized(vocab_, text, adds, parse_special);
    auto [tokens, behind] = adds ? around() : decltype(around())();
    for (const std::string_view part : parts) {
        const std::vector<Token> found = tokenized(vocab_, part, false, parse_special);
        tokens.insert(tokens.end(), found.begin(), found.end());
    }
    tokens.insert(tokens.end(), behind.begin(), behind.end());
    return tokens;
}

std::pair<std::vector<Token>, std::vector<Token>> Model::around() const {
    std::vector<Token> tokens = tokenized(vocab_, "", true, false);
    const bool begins =
        info_.adds_bos || llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_WPM;  // its [CLS], always
    const auto middle = tokens.begin() + (begins && !tokens.empty() ? 1 : 0);
    return {{tokens.begin(), middle}, {middle, tokens.end()}};
}

std::string Model::detokenize(const Token* tokens, size_t count, bool skip_special) const {
    check_tokens(tokens, count);
    std::string text;
    for (size_t i = 0; i < count; ++i) {
        text += skip_special ? std::string(piece(tokens[i])) : text_of(tokens[i], true);
    }
    return text;
}

void Model::check_tokens(const Token* tokens, size_t count) const {
    for (size_t i = 0; i < count; ++i) {
        if (has_token(tokens[i])) continue;
        throw Error(Code::kInvalidArgument, "token id " + std::to_string(tokens[i]) +
                                                " is outside the vocabulary of " +
                                                std::to_string(info_.vocab_size) + " tokens");
    }
}

void Model::check_generates() const {
    const auto refuse = [this](const char* reason) {
        throw Error(Code::kInvalidArgument,
                    "the model cannot generate text: " + info_.description + " " + reason);
    };
    if (!info_.has_vocab) refuse("has no vocabulary");
    if (info_.is_diffusion) refuse("is a diffusion model");
    if (info_.has_encoder) refuse("has an encoder");
    if (!info_.has_decoder) refuse("has no decoder");
    if (!info_.is_causal) refuse("looks at what comes after a token, too");
}

}  // namespace llamawire
