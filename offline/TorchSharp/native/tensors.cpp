// Tensors: what C# reads of them without calling an operator, tensors over managed memory, and indexing.
#include "shim.h"

#include <ATen/TensorIndexing.h>
#include <ATen/ops/from_blob.h>
#include <torch/csrc/autograd/variable.h>
#include <torch/library.h>

using namespace shim;

// Mirrors TensorDescription in Native.cs. The pointers are valid while the tensor lives and keeps its shape.
struct Description {
  int64_t dimensions, elements, element_size, storage_offset;
  const int64_t* sizes;
  const int64_t* strides;
  void* data;
  int32_t dtype, device_type, device_index;
  uint8_t requires_grad, has_grad, is_leaf, is_contiguous, is_sparse;
};

SHIM_API void torch_tensor_describe(Handle handle, Description* result) {
  const at::Tensor tensor = borrow(handle);
  const bool strided = tensor.layout() == at::kStrided;
  *result = {tensor.dim(),
             tensor.numel(),
             static_cast<int64_t>(tensor.element_size()),
             strided ? tensor.storage_offset() : 0,
             tensor.sizes().data(),
             strided ? tensor.strides().data() : nullptr,
             strided && tensor.has_storage() ? tensor.data_ptr() : nullptr,
             static_cast<int32_t>(tensor.scalar_type()),
             static_cast<int32_t>(tensor.device().type()),
             static_cast<int32_t>(tensor.device().index()),
             tensor.requires_grad(),
             tensor.is_leaf() && tensor.grad().defined(),
             tensor.is_leaf(),
             strided && tensor.is_contiguous(),
             tensor.is_sparse()};
}

SHIM_API void torch_tensor_free(Handle handle) { take(handle); }

// Another counted reference to the same tensor.
SHIM_API Handle torch_tensor_share(Handle handle) { return give(borrow(handle)); }

SHIM_API Handle torch_tensor_grad(Handle handle) { return give(borrow(handle).grad()); }

SHIM_API int32_t torch_tensor_set_grad(Handle handle, Handle grad) {
  return guarded([&] {
    borrow(handle).mutable_grad() = borrow(grad);
    return 0;
  });
}

// A tensor over memory that somebody else owns, who is told through `release(owner)` when it is no longer needed.
SHIM_API int32_t torch_tensor_wrap(void* data, const int64_t* sizes, int32_t dimensions, int32_t dtype,
                                   void (*release)(void*), void* owner, Handle* result) {
  return guarded([&] {
    auto deleter = [=](void*) { release(owner); };
    *result = give(at::from_blob(data, at::IntArrayRef(sizes, dimensions), deleter, at::dtype(at::ScalarType(dtype))));
    return 0;
  });
}

TORCH_LIBRARY_FRAGMENT(shim, library) {
  // Where the memory under the tensor begins, as a number.
  library.def("storage_data", [](const at::Tensor& tensor) {
    return static_cast<int64_t>(reinterpret_cast<intptr_t>(tensor.storage().data_ptr().get()));
  });
}

static std::vector<at::indexing::TensorIndex> indices(const Value* values, int32_t count) {
  std::vector<at::indexing::TensorIndex> list;
  for (const Value* value = values; value != values + count; value++) {
    switch (value->kind) {
      case Kind::None: list.emplace_back(at::indexing::None); break;
      case Kind::Int: list.emplace_back(value->integer); break;
      case Kind::Bool: list.emplace_back(value->integer != 0); break;
      case Kind::Tensor: list.emplace_back(borrow(static_cast<Handle>(value->pointer))); break;
      case Kind::String: list.emplace_back(at::indexing::Ellipsis); break;
      default:
        auto slice = static_cast<const int64_t*>(value->pointer);
        list.emplace_back(at::indexing::Slice(slice[0], slice[1], slice[2]));
    }
  }
  return list;
}

// The part of the first value that the others select. A slice is an IntList of start, stop and step; "..." an ellipsis.
SHIM_API int32_t torch_index(void*, const Value* values, int32_t count, const Value** result) {
  return guarded([&] {
    results = {value(borrow(static_cast<Handle>(values[0].pointer)).index(indices(values + 1, count - 1)))};
    *result = results.data();
    return 1;
  });
}

// Writes the second value to the part of the first one that the others select.
SHIM_API int32_t torch_index_put(void*, const Value* values, int32_t count, const Value** result) {
  return guarded([&] {
    auto tensor = borrow(static_cast<Handle>(values[0].pointer));
    const auto where = indices(values + 2, count - 2);
    tensor.index_put_(where, borrow(static_cast<Handle>(values[1].pointer)));
    return 0;
  });
}
