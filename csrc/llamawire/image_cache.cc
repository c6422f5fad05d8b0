#include "image_cache.h"

namespace llamawire {

std::shared_ptr<const Image> ImageCache::find(const std::string& digest) {
    const std::lock_guard lock(mutex_);
    const auto found = by_digest_.find(digest);
    if (found == by_digest_.end()) return nullptr;
    entries_.splice(entries_.begin(), entries_, found->second);
    return found->second->second;
}

void ImageCache::put(const std::string& digest, std::shared_ptr<const Image> image) {
    const std::lock_guard lock(mutex_);
    if (image->bytes() > bytes_max_ || by_digest_.count(digest) != 0) return;
    bytes_ += image->bytes();
    entries_.emplace_front(digest, std::move(image));
    by_digest_[digest] = entries_.begin();
    while (bytes_ > bytes_max_) {
        bytes_ -= entries_.back().second->bytes();
        by_digest_.erase(entries_.back().first);
        entries_.pop_back();
    }
}

size_t ImageCache::bytes() const {
    const std::lock_guard lock(mutex_);
    return bytes_;
}

size_t ImageCache::size() const {
    const std::lock_guard lock(mutex_);
    return entries_.size();
}

}  // namespace llamawire
