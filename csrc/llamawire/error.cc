#include "error.h"

#include <new>

namespace llamawire {

const char* code_name(Code code) noexcept {
    switch (code) {
        case Code::kCancelled:
            return "CANCELLED";
        case Code::kInvalidArgument:
            return "INVALID_ARGUMENT";
        case Code::kAlreadyExists:
            return "ALREADY_EXISTS";
        case Code::kResourceExhausted:
            return "RESOURCE_EXHAUSTED";
        case Code::kFailedPrecondition:
            return "FAILED_PRECONDITION";
        case Code::kInternal:
            break;
    }
    return "INTERNAL";
}

Failure current_failure() {
    try {
        throw;
    } catch (const Error& error) {
        return {code_name(error.code()), error.what()};
    } catch (const std::bad_alloc&) {
        return {code_name(Code::kResourceExhausted), "out of memory"};
    } catch (const std::exception& error) {
        return {code_name(Code::kInternal), error.what()};
    } catch (...) {
        return {code_name(Code::kInternal), "an unknown failure"};
    }
}

}  // namespace llamawire
