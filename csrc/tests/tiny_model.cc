#include "tiny_model.h"

#include <ggml.h>
#include <gguf.h>

#include <cmath>
#include <cstdio>
#include <filesystem>
#include <random>
#include <vector>

#include "llamawire/error.h"

namespace llamawire {

namespace {

// Owns the tensors until the file is written.
class Writer {
  public:
    explicit Writer(const TinyShape& shape)
        : random_(shape.seed),
          gguf_(gguf_init_empty()),
          ggml_(ggml_init({64U << 20, nullptr, false})) {}
    ~Writer() {
        gguf_free(gguf_);
        ggml_free(ggml_);
    }
    Writer(const Writer&) = delete;
    Writer& operator=(const Writer&) = delete;

    void number(const char* key, int32_t value) {
        gguf_set_val_u32(gguf_, key, static_cast<uint32_t>(value));
    }

    void matrix(const std::string& name, int32_t rows, int32_t columns, float gain = 1.0F) {
        ggml_tensor* tensor = ggml_new_tensor_2d(ggml_, GGML_TYPE_F32, columns, rows);
        std::normal_distribution<float> normal(0.0F, gain / std::sqrt(static_cast<float>(columns)));
        auto* data = static_cast<float*>(tensor->data);
        for (int64_t i = 0; i < ggml_nelements(tensor); ++i) data[i] = normal(random_);
        add(name, tensor);
    }

    void ones(const std::string& name, int32_t size) {
        ggml_tensor* tensor = ggml_new_tensor_1d(ggml_, GGML_TYPE_F32, size);
        auto* data = static_cast<float*>(tensor->data);
        for (int32_t i = 0; i < size; ++i) data[i] = 1.0F;
        add(name, tensor);
    }

    gguf_context* gguf() { return gguf_; }

  private:
    void add(const std::string& name, ggml_tensor* tensor) {
        ggml_set_name(tensor, name.c_str());
        gguf_add_tensor(gguf_, tensor);
    }

    std::mt19937 random_;
    gguf_context* gguf_;
    ggml_context* ggml_;
};

void write_vocabulary(Writer* writer, int32_t size) {
    std::vector<std::string> texts = {"<unk>", "<s>", "</s>"};
    std::vector<int32_t> types = {2, 3, 3};
    char text[16];
    for (int byte = 0; byte < 256; ++byte) {
        std::snprintf(text, sizeof(text), "<0x%02X>", byte);
        texts.emplace_back(text);
        types.push_back(6);
    }
    while (static_cast<int32_t>(texts.size()) < size) {
        texts.push_back("w" + std::to_string(texts.size()));
        types.push_back(1);
    }
    std::vector<const char*> pointers;
    for (const std::string& entry : texts) pointers.push_back(entry.c_str());
    const std::vector<float> scores(texts.size(), -1.0F);
    gguf_context* gguf = writer->gguf();
    gguf_set_val_str(gguf, "tokenizer.ggml.model", "llama");
    gguf_set_arr_str(gguf, "tokenizer.ggml.tokens", pointers.data(), pointers.size());
    gguf_set_arr_data(gguf, "tokenizer.ggml.scores", GGUF_TYPE_FLOAT32, scores.data(),
                      scores.size());
    gguf_set_arr_data(gguf, "tokenizer.ggml.token_type", GGUF_TYPE_INT32, types.data(),
                      types.size());
}

void write_blocks(Writer* writer, const TinyShape& shape) {
    for (int32_t block = 0; block < shape.blocks; ++block) {
        const std::string prefix = "blk." + std::to_string(block) + ".";
        writer->ones(prefix + "attn_norm.weight", shape.embedding);
        for (const char* name : {"attn_q", "attn_k", "attn_v", "attn_output"}) {
            writer->matrix(prefix + name + ".weight", shape.embedding, shape.embedding);
        }
        writer->ones(prefix + "ffn_norm.weight", shape.embedding);
        writer->matrix(prefix + "ffn_gate.weight", shape.feed_forward, shape.embedding);
        writer->matrix(prefix + "ffn_up.weight", shape.feed_forward, shape.embedding);
        writer->matrix(prefix + "ffn_down.weight", shape.embedding, shape.feed_forward);
    }
}

}  // namespace

std::string write_tiny_model(const TinyShape& shape) {
    Writer writer(shape);
    gguf_set_val_str(writer.gguf(), "general.architecture", "llama");
    writer.number("llama.context_length", 8192);
    writer.number("llama.embedding_length", shape.embedding);
    writer.number("llama.block_count", shape.blocks);
    writer.number("llama.feed_forward_length", shape.feed_forward);
    writer.number("llama.attention.head_count", shape.heads);
    gguf_set_val_f32(writer.gguf(), "llama.attention.layer_norm_rms_epsilon", 1e-5F);
    write_vocabulary(&writer, shape.vocab);
    writer.matrix("token_embd.weight", shape.vocab, shape.embedding, 8.0F);
    writer.ones("output_norm.weight", shape.embedding);
    writer.matrix("output.weight", shape.vocab, shape.embedding, 6.0F);
    write_blocks(&writer, shape);

    static int count = 0;
    const auto path = std::filesystem::temp_directory_path() /
                      ("llamawire-" + std::to_string(std::random_device{}()) + "-" +
                       std::to_string(count++) + ".gguf");
    if (!gguf_write_to_file(writer.gguf(), path.c_str(), false)) {
        throw Error(Code::kInternal, "cannot write " + path.string());
    }
    return path;
}

std::shared_ptr<const Model> load_tiny_model(const TinyShape& shape) {
    const std::string path = write_tiny_model(shape);
    auto model = Model::load(path, {}, nullptr);
    std::filesystem::remove(path);
    return model;
}

}  // namespace llamawire
