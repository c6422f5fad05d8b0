// Encoded images by their digest, the least recently used out first when they take too much memory.
//
// Thread-safe. What a job holds lives on when it leaves the cache.
#pragma once

#include <cstddef>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

#include "image_span.h"

namespace llamawire {

class ImageCache {
  public:
    explicit ImageCache(size_t bytes_max) : bytes_max_(bytes_max) {}

    std::shared_ptr<const Image> find(const std::string& digest);  // null: not here
    // An image larger than the whole cache is not kept.
    void put(const std::string& digest, std::shared_ptr<const Image> image);

    size_t bytes() const;
    size_t size() const;

  private:
    using Entry = std::pair<std::string, std::shared_ptr<const Image>>;

    const size_t bytes_max_;
    mutable std::mutex mutex_;
    size_t bytes_ = 0;
    std::list<Entry> entries_;  // the most recently used first
    std::unordered_map<std::string, std::list<Entry>::iterator> by_digest_;
};

}  // namespace llamawire
