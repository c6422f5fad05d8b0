// Jobs that come, go, run and end in any order: none is lost or given twice, and none goes before
// one whose priority, with its waiting, is higher.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "llamawire/line.h"
#include "require.h"

namespace llamawire {

namespace {

struct Known {
    std::string user;
    int32_t priority;
    Line::Clock::time_point since;
};

class Actor {
  public:
    explicit Actor(FuzzedDataProvider* data) : data_(data) {}

    void act() {
        now_ += std::chrono::milliseconds(data_->ConsumeIntegralInRange<int>(0, 3000));
        switch (data_->ConsumeIntegralInRange<int>(0, 4)) {
            case 0:
                return remove();
            case 1:
                return end();
            case 2:
                return take();
            default:
                return add();
        }
    }

    void empty() {
        while (!waiting_.empty()) take();
        REQUIRE(line_.empty());
    }

  private:
    int64_t priority(const Known& job) const {
        return job.priority + (now_ - job.since) / Line::kAgeing;
    }

    void add() {
        auto request = std::make_unique<JobRequest>();
        request->job_id = ++last_id_;
        request->options.user = std::string(1, data_->PickValueInArray({'a', 'b', 'c', 'd'}));
        request->options.priority = data_->ConsumeIntegralInRange(kPriorityMin, kPriorityMax);
        waiting_[last_id_] = {request->options.user, request->options.priority, now_};
        line_.add(std::move(request), now_);
        REQUIRE(line_.find(last_id_) != nullptr);
    }

    void take() {
        REQUIRE(line_.empty() == waiting_.empty());
        if (waiting_.empty()) return;
        REQUIRE(line_.front_id() == waiting_.begin()->first);
        const uint64_t id = line_.take(now_).request->job_id;
        const auto found = waiting_.find(id);
        REQUIRE(found != waiting_.end());
        for (const auto& [other, job] : waiting_) {
            REQUIRE(priority(job) <= priority(found->second));
            // Of one caller and one priority the first that came.
            REQUIRE(other >= id || job.user != found->second.user ||
                    priority(job) < priority(found->second));
        }
        running_.push_back(found->second.user);
        waiting_.erase(found);
        line_.served(running_.back(), data_->ConsumeIntegralInRange<int64_t>(0, 5000));
    }

    void remove() {
        const auto id = data_->ConsumeIntegralInRange<uint64_t>(0, last_id_ + 1);
        const bool waits = waiting_.erase(id) > 0;
        REQUIRE((line_.find(id) != nullptr) == waits);
        line_.remove(id);
        REQUIRE(line_.find(id) == nullptr);
    }

    void end() {
        if (running_.empty()) return;
        const auto place = data_->ConsumeIntegralInRange<size_t>(0, running_.size() - 1);
        line_.ended(running_[place]);
        running_.erase(running_.begin() + static_cast<ptrdiff_t>(place));
    }

    FuzzedDataProvider* data_;
    Line line_;
    Line::Clock::time_point now_{};
    uint64_t last_id_ = 0;
    std::map<uint64_t, Known> waiting_;
    std::vector<std::string> running_;
};

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::Actor actor(&data);
    for (int i = 0; i < 200 && data.remaining_bytes() > 0; ++i) actor.act();
    actor.empty();
    return 0;
}
