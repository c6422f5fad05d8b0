// Failures as the caller sees them: a code, which is a gRPC status from end to end, and a sentence.
//
// csrc throws `Error` and nothing else of its own; what the standard library or llama.cpp throws is
// translated by `current_failure` at the one border where Python begins, and at the loop's thread,
// which turns it into the event of the row that it concerns.
#pragma once

#include <stdexcept>
#include <string>

namespace llamawire {

enum class Code {
    kCancelled,
    kInvalidArgument,
    kAlreadyExists,
    kResourceExhausted,
    kFailedPrecondition,
    kInternal,
};

// The name of the gRPC status: "INVALID_ARGUMENT" and so on.
const char* code_name(Code code) noexcept;

class Error : public std::runtime_error {
  public:
    Error(Code code, const std::string& message) : std::runtime_error(message), code_(code) {}
    Code code() const noexcept { return code_; }

  private:
    Code code_;
};

struct Failure {
    const char* code;  // a name, as code_name gives it
    std::string message;
};

// What the exception being handled says. Call it inside a catch block only.
Failure current_failure();

}  // namespace llamawire
