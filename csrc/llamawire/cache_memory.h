// The memory of a KV cache on a CPU: cleared without being touched, and committed behind the load.
//
// llama.cpp writes zeros over all of a new cache: for 377 MB that was 290 of the 515 ms to a first
// token. The kernel's fresh pages are zero anyway. So while a Scope stands, what llama.cpp clears in
// its thread is given back to the kernel instead (CMakeLists.txt has the linker send the calls here),
// and `commit` has a thread take the pages again, a portion at a time, while the first request runs:
// what a model needs is in use soon after, and whoever looks how much is free sees it.
//
// Linux only; elsewhere nothing is collected and llama.cpp clears as ever.
#pragma once

#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace llamawire {

class CacheMemory {
  public:
    // Pages; both are multiples of the page's size.
    struct Range {
        char* begin;
        size_t size;
    };

    // Collects what the calling thread clears.
    class Scope {
      public:
        explicit Scope(CacheMemory* memory);
        ~Scope();
        Scope(const Scope&) = delete;
        Scope& operator=(const Scope&) = delete;
    };

    CacheMemory() = default;
    ~CacheMemory();
    CacheMemory(const CacheMemory&) = delete;
    CacheMemory& operator=(const CacheMemory&) = delete;

    // Takes the pages that were given back, in a thread. Kernels before 5.14 cannot: there they come
    // as they are used.
    void commit();
    // Returns when they are taken.
    void wait();

  private:
    friend struct BufferClear;

    std::vector<Range> ranges_;
    std::atomic<bool> is_unwanted_{false};
    std::thread thread_;
};

}  // namespace llamawire
