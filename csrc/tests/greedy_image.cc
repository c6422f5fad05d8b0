// The reference of tests/native/test_image_reference.py: mtmd and its helper alone, nothing of ours.
//
//   greedy_image MODEL PROJECTOR COUNT PIXELS WIDTH HEIGHT < PROMPTS
//
// PIXELS holds WIDTH x HEIGHT pixels of three bytes. Each line of PROMPTS is a prompt, in which
// <__media__> stands for the picture, once or more. For each, a line of the COUNT likeliest tokens
// that follow comes out, fewer where generation ends.
#include <llama-cpp.h>
#include <mtmd-helper.h>
#include <mtmd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>
#include <vector>

namespace {

constexpr int kBatch = 2048;

void check(bool holds, const char* what) {
    if (holds) return;
    std::fprintf(stderr, "greedy_image: %s\n", what);
    std::exit(1);
}

// Reads text and pictures into a new context, and gives the position behind them.
llama_pos read_prompt(mtmd_context* media, llama_context* context, const std::string& prompt,
                      const mtmd_bitmap* picture) {
    const std::string marker = mtmd_get_marker(media);
    std::vector<const mtmd_bitmap*> pictures;
    for (size_t at = prompt.find(marker); at != std::string::npos;
         at = prompt.find(marker, at + marker.size())) {
        pictures.push_back(picture);
    }
    const mtmd_input_text text{prompt.c_str(), prompt.size(), true, true};
    const mtmd::input_chunks_ptr chunks(mtmd_input_chunks_init());
    check(mtmd_tokenize(media, chunks.get(), &text, pictures.data(), pictures.size()) == 0,
          "the prompt cannot be tokenised");
    llama_pos behind = 0;
    check(mtmd_helper_eval_chunks(media, context, chunks.get(), 0, 0, kBatch, true, &behind) == 0,
          "the prompt cannot be read");
    return behind;
}

void answer(llama_model* model, mtmd_context* media, const std::string& prompt,
            const mtmd_bitmap* picture, int count) {
    llama_context_params params = llama_context_default_params();
    params.n_ctx = 2048;
    params.n_batch = kBatch;
    params.n_ubatch = kBatch;
    params.n_threads = 1;
    params.n_threads_batch = 1;
    params.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;  // the loop's choice for narrow heads
    const llama_context_ptr context(llama_init_from_model(model, params));
    check(context != nullptr, "no context");
    read_prompt(media, context.get(), prompt, picture);
    const llama_vocab* vocab = llama_model_get_vocab(model);
    for (int i = 0; i < count; ++i) {
        const float* logits = llama_get_logits_ith(context.get(), -1);
        auto token = static_cast<llama_token>(
            std::max_element(logits, logits + llama_vocab_n_tokens(vocab)) - logits);
        std::cout << token << ' ';
        if (llama_vocab_is_eog(vocab, token)) break;
        check(llama_decode(context.get(), llama_batch_get_one(&token, 1)) == 0,
              "the batch cannot be decoded");
    }
    std::cout << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    check(argc == 7, "usage: greedy_image MODEL PROJECTOR COUNT PIXELS WIDTH HEIGHT < PROMPTS");
    const auto silent = [](ggml_log_level, const char*, void*) {};
    llama_log_set(silent, nullptr);
    mtmd_helper_log_set(silent, nullptr);
    llama_backend_init();
    const llama_model_ptr model(llama_model_load_from_file(argv[1], llama_model_default_params()));
    check(model != nullptr, "the model cannot be loaded");
    mtmd_context_params params = mtmd_context_params_default();
    params.use_gpu = false;
    params.print_timings = false;
    params.n_threads = 1;
    const mtmd::context_ptr media(mtmd_init_from_file(argv[2], model.get(), params));
    check(media != nullptr, "the projector cannot be loaded");
    std::ifstream file(argv[4], std::ios::binary);
    const std::vector<char> pixels(std::istreambuf_iterator<char>(file), {});
    const auto width = static_cast<uint32_t>(std::atoi(argv[5]));
    const auto height = static_cast<uint32_t>(std::atoi(argv[6]));
    check(pixels.size() == size_t{width} * height * 3, "PIXELS has another size");
    const mtmd::bitmap_ptr picture(
        mtmd_bitmap_init(width, height, reinterpret_cast<const unsigned char*>(pixels.data())));
    for (std::string line; std::getline(std::cin, line);) {
        answer(model.get(), media.get(), line, picture.get(), std::atoi(argv[3]));
    }
    return 0;
}
