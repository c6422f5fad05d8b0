#include "llamawire/cache_memory.h"

#include <doctest/doctest.h>
#include <ggml-backend.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <vector>

#ifdef __linux__

#include <sys/mman.h>
#include <unistd.h>

namespace llamawire {

namespace {

constexpr size_t kSize = (size_t{8} << 20) + 100;

struct Buffer {
    std::unique_ptr<ggml_backend_buffer, void (*)(ggml_backend_buffer*)> handle{
        ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), kSize),
        ggml_backend_buffer_free};
    char* const data = static_cast<char*>(ggml_backend_buffer_get_base(handle.get()));
    const size_t size = ggml_backend_buffer_get_size(handle.get());

    bool is_zero() const {
        return std::all_of(data, data + size, [](char byte) { return byte == 0; });
    }
    // The pages that are in memory.
    size_t resident() const {
        const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
        char* const begin = data + (page - reinterpret_cast<uintptr_t>(data) % page) % page;
        std::vector<unsigned char> pages((data + size - begin) / page);
        REQUIRE(mincore(begin, pages.size() * page, pages.data()) == 0);
        return static_cast<size_t>(
            std::count_if(pages.begin(), pages.end(), [](unsigned char one) { return one & 1; }));
    }
};

}  // namespace

TEST_CASE("what is collected is zero, untouched, and in memory once committed") {
    const Buffer buffer;
    std::memset(buffer.data, 7, buffer.size);
    const size_t all = buffer.resident();
    CacheMemory memory;
    {
        const CacheMemory::Scope scope(&memory);
        ggml_backend_buffer_clear(buffer.handle.get(), 0);
    }
    CHECK(buffer.resident() == 0);
    memory.commit();
    memory.wait();
    // Kernels before 5.14 leave them out.
    const size_t committed = buffer.resident();
    CHECK((committed == all || committed == 0));
    CHECK(buffer.is_zero());
}

TEST_CASE("without a scope, and with another value, llama.cpp clears") {
    const Buffer buffer;
    std::memset(buffer.data, 7, buffer.size);
    ggml_backend_buffer_clear(buffer.handle.get(), 0);
    CHECK(buffer.resident() > 0);
    CHECK(buffer.is_zero());
    CacheMemory memory;
    const CacheMemory::Scope scope(&memory);
    ggml_backend_buffer_clear(buffer.handle.get(), 3);
    CHECK(buffer.data[0] == 3);
    CHECK(buffer.data[buffer.size - 1] == 3);
}

TEST_CASE("a cache can go while it is committed") {
    const Buffer buffer;
    CacheMemory memory;
    const CacheMemory::Scope scope(&memory);
    ggml_backend_buffer_clear(buffer.handle.get(), 0);
    memory.commit();
}

}  // namespace llamawire

#endif
