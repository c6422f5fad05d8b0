// The weights and the vocabulary of one GGUF file.
//
// A model is immutable once loaded and may be used by any thread; the loops over it share it. The
// text of every token is read out once at load, so that the loop's thread turns a token into text
// by an index.
#pragma once

#include <llama-cpp.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "options.h"
#include "sequence.h"
#include "special_tokens.h"

namespace llamawire {

// Shared by the thread that loads and the one that watches.
struct LoadProgress {
    std::atomic<float> fraction{0.0F};
    std::atomic<bool> cancelled{false};

    void cancel() { cancelled.store(true); }
};

struct ModelOptions {
    int32_t num_gpu = -1;   // layers on the GPU; -1: all
    int32_t main_gpu = 0;   // the GPU that holds what is not split
    int32_t use_mmap = -1;  // -1: llama.cpp's choice, 0: read, 1: map
    // LoRA adapters: GGUF files that have been compared with the model, since llama.cpp aborts over
    // matrices that it cannot multiply.
    std::vector<std::string> adapters;
};

struct ModelInfo {
    std::string description;
    std::string architecture;
    uint64_t parameter_count = 0;
    uint64_t size_bytes = 0;  // of the weights and the adapters
    int32_t num_ctx_train = 0;
    int32_t vocab_size = 0;
    int32_t embedding_size = 0;
    int32_t embedding_input_size = 0;  // what stands in a token's place: an image's has this width
    int32_t layer_count = 0;
    bool adds_bos = false;
    bool adds_eos = false;
    bool adds_sep = false;  // between two texts
    Token bos_token = -1;
    Token eos_token = -1;
    Token sep_token = -1;
    std::string bos_text;
    std::string eos_text;
    bool can_shift = false;  // by the kind of model; the loop's word, from its KV cache, is final
    bool has_encoder = false;
    bool has_decoder = false;
    bool is_recurrent = false;  // or hybrid: a state that cannot be cut
    bool is_diffusion = false;
    bool is_causal = true;
    bool has_vocab = false;
    bool has_fim = false;
};

class Model : public Pieces {
  public:
    // Throws Error: kInvalidArgument (no file, or not a model llama.cpp can run),
    // kResourceExhausted (memory), kCancelled. `progress` may be null.
    static std::shared_ptr<Model> load(const std::string& path, const ModelOptions& options,
                                       LoadProgress* progress);

    const ModelInfo& info() const { return info_; }

    // Throws Error(kInvalidArgument) for a model without a vocabulary and for a text too long.
    std::vector<Token> tokenize(std::string_view text, bool add_special, bool parse_special) const;
    // Bytes, not always whole UTF-8. Throws Error(kInvalidArgument) for an id that is no token.
    std::string detokenize(const Token* tokens, size_t count, bool skip_special) const;

    bool has_token(int64_t token) const { return token >= 0 && token < info_.vocab_size; }
    // Throws Error(kInvalidArgument) that names the first id outside the vocabulary.
    void check_tokens(const Token* tokens, size_t count) const;

    std::string_view piece(Token token) const override;
    // How a token that has no text of its own is written: `<|im_start|>`. Else empty.
    std::string_view spelling(Token token) const override;
    // The control tokens that are spelt so and end nothing.
    std::vector<Token> marks(const std::vector<std::string>& spellings) const;
    bool is_end(Token token) const override { return ends_[static_cast<size_t>(token)]; }
    const std::vector<Token>& newlines() const { return newlines_; }
    const std::vector<Token>& suppressed() const { return suppressed_; }

    // Throws Error(kInvalidArgument) that says why, unless text can be generated with this model.
    void check_generates() const;

    // Adds the adapters to a context over this model; for good, and before its first decode.
    void adapt(llama_context* context) const;

    llama_model* handle() const { return handle_.get(); }

  private:
    explicit Model(llama_model_ptr handle);
    void add_adapter(const std::string& path);
    void read_info();
    void read_vocabulary();
    std::string text_of(Token token, bool special) const;
    // The tokens that llama.cpp puts in front of a text, and those that it puts behind.
    std::pair<std::vector<Token>, std::vector<Token>> around() const;

    llama_model_ptr handle_;
    std::vector<llama_adapter_lora*> adapters_;  // the handle's own: freed with it
    const llama_vocab* vocab_;
    SpecialTokens special_;
    ModelInfo info_;
    std::string piece_bytes_;           // of all tokens, one behind the other
    std::vector<uint32_t> piece_ends_;  // where each token's bytes end
    std::unordered_map<Token, std::string> spellings_;
    std::vector<bool> ends_;  // is an end of generation
    std::vector<Token> newlines_;
    std::vector<Token> suppressed_;
};

}  // namespace llamawire
