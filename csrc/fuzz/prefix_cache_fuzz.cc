// Jobs that come, compute, decode, shift, move, lose their cache and go, in any order. Beside the
// cache stands what it is about: for each position the call in which it was computed and all before
// it, as a number. What a reproducible job takes over and computes has the numbers of a cold run.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "llamawire/image_span.h"
#include "llamawire/prefix_cache.h"
#include "require.h"

namespace llamawire {

namespace {

constexpr int32_t kStreams = 3;
constexpr int32_t kUnits[] = {4, 8};
constexpr int32_t kContextMax = 30;

using Values = std::vector<uint64_t>;  // of a stream's positions

struct Job {
    bool is_running = false;
    std::vector<Token> context;
    int32_t unit = 0;
    bool reproducible = false;
    bool is_cold = false;  // all of its values ought to be those of a cold run
};

uint64_t mixed(uint64_t a, uint64_t b) {
    uint64_t value = (a ^ b * 0x9E3779B97F4A7C15U) * 0xBF58476D1CE4E5B9U;
    return value ^ value >> 29U;
}

// One call over [begin, end), which llama.cpp computes in pieces of a unit from `begin` on.
void compute(Values* values, const std::vector<Token>& context, int32_t end, int32_t unit) {
    auto begin = static_cast<int32_t>(values->size());
    while (begin < end) {
        const int32_t next = std::min(begin + unit, end);
        const uint64_t piece = mixed(static_cast<uint64_t>(begin), static_cast<uint64_t>(next));
        for (int32_t i = begin; i < next; ++i) {
            const uint64_t before = values->empty() ? 0 : values->back();
            const auto id = static_cast<uint32_t>(context[static_cast<size_t>(i)]);
            values->push_back(mixed(mixed(before, id), piece));
        }
        begin = next;
    }
}

// As Prefill::chunk has it.
int32_t next_end(const std::vector<Token>& context, int32_t begin, int32_t unit, int32_t piece,
                 int32_t most) {
    const int32_t end = run_end(context, begin);
    const bool has_images = std::any_of(context.begin(), context.end(), is_placeholder);
    const bool is_behind_image = has_images && begin % unit != 0;
    return chunk_end(begin, end, piece, is_behind_image ? 0 : std::max(most, piece));
}

Values cold_values(const std::vector<Token>& context, int32_t unit) {
    Values values;
    const auto size = static_cast<int32_t>(context.size());
    while (static_cast<int32_t>(values.size()) < size) {
        const int32_t end = next_end(context, static_cast<int32_t>(values.size()), unit, unit, 0);
        compute(&values, context, end, unit);
    }
    return values;
}

class Server {
  public:
    explicit Server(FuzzedDataProvider* data) : data_(data), cache_(kStreams) {
        for (int i = 0; i < 2; ++i) {
            images_.emplace_back(std::to_string(i), 1, true);
            for (int32_t chunks = number(1, 2); chunks > 0; --chunks) {
                const Token around = 7;
                if (data->ConsumeBool()) images_[i].add_tokens(&around, 1);
                const std::vector<float> row(static_cast<size_t>(number(1, 9)));
                images_[i].add_chunk(row.data(), row.size());
            }
        }
    }

    void step() {
        const int32_t stream = number(0, kStreams - 1);
        if (!jobs_[stream].is_running) return begin();
        switch (number(0, 9)) {
            case 0:
                return end(stream);
            case 1:
                return shift(stream);
            case 2:
                return move(stream);
            case 3:
                return lose(stream);
            case 4:
                return settle(stream);
            default:
                return is_prefilled(stream) ? decode(stream) : prefill(stream);
        }
    }

    void check() const {
        for (int32_t stream = 0; stream < kStreams; ++stream) {
            const Stream& held = cache_.stream(stream);
            REQUIRE(held.busy == jobs_[stream].is_running);
            REQUIRE(held.tokens == tokens_[stream]);
            REQUIRE(values_[stream].size() == held.tokens.size());
            REQUIRE(held.exact >= 0 && held.exact <= cache_.size(stream));
            const Job& job = jobs_[stream];
            if (!job.is_running || !job.is_cold) continue;
            const Values cold = cold_values(job.context, job.unit);
            const size_t both = std::min(values_[stream].size(), cold.size());
            REQUIRE(std::equal(cold.begin(), cold.begin() + static_cast<ptrdiff_t>(both),
                               values_[stream].begin()));
        }
    }

  private:
    int32_t number(int32_t least, int32_t most) {
        return data_->ConsumeIntegralInRange<int32_t>(least, most);
    }

    bool is_prefilled(int32_t stream) const {
        return tokens_[stream].size() >= jobs_[stream].context.size();
    }

    // Often what a stream holds, and something behind it.
    std::vector<Token> take_context() {
        std::vector<Token> ids;
        if (data_->ConsumeBool()) {
            ids = tokens_[number(0, kStreams - 1)];
            ids.resize(static_cast<size_t>(number(0, static_cast<int32_t>(ids.size()))));
            while (!ids.empty() && is_placeholder(ids.back())) ids.pop_back();
        }
        while (ids.empty() || (ids.size() < kContextMax && number(0, 7) != 0)) {
            if (number(0, 7) == 0) {
                const std::vector<Token>& image = images_[number(0, 1)].ids();
                ids.insert(ids.end(), image.begin(), image.end());
            }
            ids.push_back(number(0, 1));
        }
        return ids;
    }

    PlacementRequest wanted(const Job& job, bool reuse) {
        PlacementRequest request = {job.context,          job.unit,    reuse, job.reproducible,
                                    data_->ConsumeBool(), number(0, 5)};
        request.may_copy = data_->ConsumeBool();
        return request;
    }

    void require_reusable(const Job& job, int32_t source, int32_t reused) const {
        REQUIRE(reused >= 0 && reused < static_cast<int32_t>(job.context.size()));
        REQUIRE(reused <= cache_.size(source));
        REQUIRE(common_prefix(tokens_[source], job.context) >= reused);
        REQUIRE(!is_within_chunk(job.context, reused));
    }

    void begin() {
        Job job = {true, take_context(), data_->PickValueInArray(kUnits), data_->ConsumeBool()};
        job.is_cold = job.reproducible;
        const Placement placement = cache_.place(wanted(job, number(0, 7) != 0));
        const int32_t stream = placement.stream;
        REQUIRE(stream >= 0 && !jobs_[stream].is_running);
        const int32_t source = placement.source >= 0 ? placement.source : stream;
        require_reusable(job, source, placement.reused);
        cache_.occupy(placement);
        copy(source, stream, placement.reused);
        jobs_[stream] = job;
    }

    void copy(int32_t source, int32_t stream, int32_t size) {
        tokens_[stream] = std::vector<Token>(tokens_[source]);
        values_[stream] = Values(values_[source]);
        tokens_[stream].resize(static_cast<size_t>(size));
        values_[stream].resize(static_cast<size_t>(size));
    }

    void prefill(int32_t stream) {
        const Job& job = jobs_[stream];
        const int32_t begin = cache_.size(stream);
        const int32_t piece = job.reproducible || data_->ConsumeBool() ? job.unit : job.unit / 4;
        const int32_t end = next_end(job.context, begin, job.unit, piece, number(0, 20));
        REQUIRE(end > begin && end <= static_cast<int32_t>(job.context.size()));
        compute(&values_[stream], job.context, end, job.unit);
        cache_.prefilled(stream, job.context, end, job.unit);
        tokens_[stream].assign(job.context.begin(), job.context.begin() + end);
    }

    void decode(int32_t stream) {
        Job& job = jobs_[stream];
        if (job.context.size() >= 2 * kContextMax) return;
        const Token token = number(0, 1);
        job.context.push_back(token);
        job.is_cold = false;  // of a prompt with this token
        tokens_[stream].push_back(token);
        compute(&values_[stream], job.context, static_cast<int32_t>(job.context.size()), 1);
        cache_.decoded(stream, token);
    }

    void end(int32_t stream) {
        jobs_[stream] = {};
        cache_.free(stream);
    }

    void shift(int32_t stream) {
        Job& job = jobs_[stream];
        if (!is_prefilled(stream)) return;
        const auto size = static_cast<int32_t>(job.context.size());
        const int32_t keep = number(0, size - 1);
        const int32_t discard = number(1, size - keep);
        if (is_within_chunk(job.context, keep) || is_within_chunk(job.context, keep + discard)) {
            return;
        }
        cache_.shifted(stream, keep, discard);
        const auto erase = [&](auto* from) {
            from->erase(from->begin() + keep, from->begin() + keep + discard);
        };
        erase(&job.context);
        erase(&tokens_[stream]);
        erase(&values_[stream]);
        // What moved was computed elsewhere.
        for (size_t i = static_cast<size_t>(keep); i < values_[stream].size(); ++i) {
            values_[stream][i] = mixed(values_[stream][i], 1);
        }
        job.is_cold = false;
        if (job.context.empty()) end(stream);
    }

    void move(int32_t stream) {
        const int32_t to = number(0, kStreams - 1);
        if (jobs_[to].is_running) return;
        cache_.moved(stream, to);
        copy(stream, to, static_cast<int32_t>(tokens_[stream].size()));
        jobs_[to] = jobs_[stream];
        jobs_[stream] = {};
    }

    // All of the cache, or a stream's; those who run compute what they had again, as a prompt.
    void lose(int32_t stream) {
        const bool is_all = data_->ConsumeBool();
        if (is_all) {
            cache_.clear();
        } else {
            cache_.cut(stream, 0);
        }
        for (int32_t id = 0; id < kStreams; ++id) {
            if (!is_all && id != stream) continue;
            tokens_[id].clear();
            values_[id].clear();
            jobs_[id].is_cold = jobs_[id].reproducible;
        }
    }

    // One that waited takes over what others hold by now.
    void settle(int32_t stream) {
        const Job& job = jobs_[stream];
        if (is_prefilled(stream)) return;
        const Placement fork = cache_.richest(wanted(job, true));
        if (fork.source == stream || fork.reused <= cache_.size(stream)) return;
        require_reusable(job, fork.source, fork.reused);
        cache_.fork(fork.source, stream, fork.reused);
        copy(fork.source, stream, fork.reused);
    }

    FuzzedDataProvider* data_;
    PrefixCache cache_;
    std::vector<Image> images_;
    Job jobs_[kStreams];
    std::vector<Token> tokens_[kStreams];
    Values values_[kStreams];
};

}  // namespace

}  // namespace llamawire

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
    FuzzedDataProvider data(bytes, size);
    llamawire::Server server(&data);
    while (data.remaining_bytes() > 0) {
        server.step();
        server.check();
    }
    return 0;
}
