// Products of matrices for an encoder's batches: many tokens at once, on a CPU.
//
// ggml's own kernel computes four by three dot products at a time. This one keeps a panel of tokens in
// the first cache and multiplies it by one weight after the other: with it an embedder of MiniLM's
// shape makes 255 vectors a second instead of 200 (Zen 3, AVX2, two lanes). While a Scope stands,
// ggml's calls of llamafile_sgemm in its thread come here (CMakeLists.txt has the linker send them);
// what does not suit goes on to ggml.
//
// The weights may have any type that ggml turns into floats: a block of them is turned at a time,
// so tokens stay floats, where ggml rounds them to the precision of the weights.
#pragma once

#include <cstdint>
#include <vector>

namespace llamawire {

// [rows, depth] weights times [columns, depth] tokens, into [columns, rows]. Strides in elements.
struct Product {
    int64_t rows;
    int64_t columns;
    int64_t depth;
    const void* weights;
    int64_t weights_stride;  // in blocks of the type
    int weights_type;        // ggml_type
    const float* tokens;
    int64_t tokens_stride;
    float* result;
    int64_t result_stride;
};

class Matmul {
  public:
    // Fewer tokens are not worth packing.
    static constexpr int64_t kColumnsMin = 32;

    // Has the calling thread's products of ggml computed by `matmul`; the thread has to be the only
    // one of its computation.
    class Scope {
      public:
        explicit Scope(Matmul* matmul);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
    };

    // False: not for this product or this machine; nothing has been done.
    bool multiply(const Product& product);

  private:
    struct Weights {
        const float* data;
        int64_t stride;
    };

    void pack(const Product& product, int64_t first, int64_t depth);
    void multiply_block(const Product& product, int64_t begin, int64_t first, int64_t depth);
    Weights floats(const Product& product, int64_t row, int64_t rows, int64_t first, int64_t depth);

    std::vector<float> panels_;  // [columns / panel, depth, panel]: tokens side by side
    std::vector<float> block_;   // some rows of weights as floats
};

}  // namespace llamawire
