// What every file of the shim shares: the values that cross the border to C#, and the one place where native failures are caught.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <exception>
#include <string>
#include <vector>

#define SHIM_API extern "C" __attribute__((visibility("default")))

namespace shim {

// A tensor crosses the border as a counted reference to its TensorImpl.
using Handle = c10::TensorImpl*;
using TensorPointer = c10::intrusive_ptr<c10::TensorImpl, c10::UndefinedTensorImpl>;

// Mirrors NativeValueKind in NativeValue.cs.
enum class Kind : int32_t { None, Tensor, Int, Double, Bool, IntList, TensorList, String, Device, Generator };

// One argument or result of an operator. Mirrors NativeValue in NativeValue.cs.
struct Value {
  Kind kind;
  int32_t length;  // of an IntList, TensorList or String
  union {
    int64_t integer;
    double number;
    void* pointer;
  };
};

// The tensor behind a handle that the caller keeps.
inline at::Tensor borrow(Handle handle) {
  return handle == nullptr ? at::Tensor() : at::Tensor(TensorPointer::reclaim_copy(handle));
}

// The tensor behind a handle that the caller gives away.
inline at::Tensor take(Handle handle) {
  return handle == nullptr ? at::Tensor() : at::Tensor(TensorPointer::reclaim(handle));
}

// A handle that the receiver must free; null for an undefined tensor.
inline Handle give(at::Tensor tensor) {
  return tensor.defined() ? tensor.unsafeReleaseTensorImpl() : nullptr;
}

inline Value value(at::Tensor tensor) {
  Value result{tensor.defined() ? Kind::Tensor : Kind::None, 0, {}};
  result.pointer = give(std::move(tensor));
  return result;
}

extern thread_local std::string last_error;

// Results that stay valid until the thread's next call.
extern thread_local std::vector<Value> results;

// Runs the body of an exported function: the body's result, or -1 and torch_last_error() when it throws.
template <class Body>
int32_t guarded(Body&& body) noexcept {
  try {
    return body();
  } catch (const c10::Error& error) {
    last_error = error.what_without_backtrace();
  } catch (const std::exception& error) {
    last_error = error.what();
  }
  return -1;
}

}  // namespace shim
