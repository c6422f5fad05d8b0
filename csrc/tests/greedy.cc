// The reference of tests/native/test_architectures.py: llama.h alone, nothing of ours.
//
//   greedy MODEL COUNT < PROMPTS
//
// Each line of PROMPTS is the token ids of one prompt. For each, a line of the COUNT likeliest
// tokens that follow comes out, fewer where generation ends. An encoder reads the prompt where the
// model has one, and the decoder begins with the model's start token.
#include <llama-cpp.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

namespace {

void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "greedy: %s\n", what);
    std::exit(1);
}

std::vector<llama_token> generate(llama_model* model, std::vector<llama_token> prompt, int count) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 2048;
    params.n_threads = 1;
    params.n_threads_batch = 1;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;  // the loop's choice for narrow heads
    const llama_context_ptr context(llama_init_from_model(model, params));
    check(context != nullptr, "no context");
    const llama_vocab* vocab = llama_model_get_vocab(model);
    if (llama_model_has_encoder(model)) {
        llama_batch batch = llama_batch_get_one(prompt.data(), static_cast<int32_t>(prompt.size()));
        check(llama_encode(context.get(), batch) == 0, "the prompt cannot be encoded");
        prompt.assign(1, llama_model_decoder_start_token(model));
    }
    llama_batch batch = llama_batch_get_one(prompt.data(), static_cast<int32_t>(prompt.size()));
    std::vector<llama_token> tokens;
    llama_token token = 0;
    while (static_cast<int>(tokens.size()) < count) {
        check(llama_decode(context.get(), batch) == 0, "the batch cannot be decoded");
        const float* logits = llama_get_logits_ith(context.get(), -1);
        token = static_cast<llama_token>(
            std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits);
        tokens.push_back(token);
        if (llama_vocab_is_eog(vocab, token)) break;
        batch = llama_batch_get_one(&token, 1);
    }
    return tokens;
}

}  // namespace

int main(int argc, char** argv) {
    check(argc == 3, "usage: greedy MODEL COUNT < PROMPTS");
    llama_log_set([](ggml_log_level, const char*, void*) {}, nullptr);
    llama_backend_init();
    const llama_model_ptr model(llama_model_load_from_file(argv[1], llama_model_default_params()));
    check(model != nullptr, "the model cannot be loaded");
    for (std::string line; std::getline(std::cin, line);) {
        std::istringstream numbers(line);
        std::vector<llama_token> prompt;
        for (llama_token token = 0; numbers >> token;) prompt.push_back(token);
        for (llama_token token : generate(model.get(), prompt, std::atoi(argv[2]))) {
            std::cout << token << ' ';
        }
        std::cout << '\n';
    }
    return 0;
}
