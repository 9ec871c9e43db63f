// Operators, libtorch's own (aten::...) and the shim's (shim::...): found by name in libtorch's dispatcher, called with boxed values.
#include "shim.h"

#include <ATen/core/dispatch/Dispatcher.h>
#include <ATen/core/ivalue.h>
#include <ATen/core/jit_type.h>

using c10::IValue;

namespace shim {

thread_local std::string last_error;
thread_local std::vector<Value> results;

namespace {

struct Operator {
  c10::OperatorHandle handle;
  std::vector<c10::TypePtr> types;
  std::vector<IValue> defaults;
  std::vector<bool> required;
};

// A null handle is "none" in a list of optional tensors, and an undefined tensor in another one.
IValue tensor_list(const Value& value, const c10::TypePtr& type) {
  const auto element = type->expectRef<c10::ListType>().getElementType();
  const bool optional = element->kind() == c10::TypeKind::OptionalType;
  c10::impl::GenericList list(element);
  auto handles = static_cast<Handle*>(value.pointer);
  list.reserve(value.length);
  for (int32_t i = 0; i < value.length; i++) {
    list.push_back(optional && handles[i] == nullptr ? IValue() : IValue(borrow(handles[i])));
  }
  return list;
}

IValue unpack(const Value& value, const c10::TypePtr& type) {
  auto integers = static_cast<const int64_t*>(value.pointer);
  switch (value.kind) {
    case Kind::None: return IValue();
    case Kind::Tensor: return borrow(static_cast<Handle>(value.pointer));
    case Kind::Int: return value.integer;
    case Kind::Double: return value.number;
    case Kind::Bool: return value.integer != 0;
    case Kind::IntList: return std::vector<int64_t>(integers, integers + value.length);
    case Kind::TensorList: return tensor_list(value, type);
    case Kind::String: return std::string(static_cast<const char*>(value.pointer), value.length);
    case Kind::Device: return c10::Device(c10::DeviceType(value.integer & 0xff), c10::DeviceIndex(value.integer >> 8));
    case Kind::Generator:
      return at::Generator(c10::intrusive_ptr<c10::GeneratorImpl>::reclaim_copy(static_cast<c10::GeneratorImpl*>(value.pointer)));
  }
  TORCH_CHECK(false, "unknown kind of value");
}

void pack(const IValue& value) {
  Value result{Kind::None, 0, {}};
  if (value.isTensor()) {
    result = shim::value(value.toTensor());
  } else if (value.isTensorList()) {
    for (const at::Tensor& tensor : value.toTensorVector()) results.push_back(shim::value(tensor));
    return;
  } else if (value.isBool()) {
    result.kind = Kind::Bool;
    result.integer = value.toBool();
  } else if (value.isInt()) {
    result.kind = Kind::Int;
    result.integer = value.toInt();
  } else if (value.isDouble()) {
    result.kind = Kind::Double;
    result.number = value.toDouble();
  } else if (value.isGenerator()) {
    result.kind = Kind::Generator;
    result.pointer = value.toGenerator().unsafeReleaseGeneratorImpl();
  }
  results.push_back(result);
}

}  // namespace
}  // namespace shim

using namespace shim;

SHIM_API const char* torch_last_error() { return last_error.c_str(); }

// Finds the operator with this name ("aten::add") and overload ("Tensor" or ""). It lives as long as the process.
SHIM_API int32_t torch_find_operator(const char* name, const char* overload, Operator** result) {
  return guarded([&] {
    auto found = new Operator{c10::Dispatcher::singleton().findSchemaOrThrow(name, overload), {}, {}, {}};
    for (const c10::Argument& argument : found->handle.schema().arguments()) {
      auto type = argument.type();
      if (auto optional = type->cast<c10::OptionalType>()) type = optional->getElementType();
      found->types.push_back(type);
      found->required.push_back(!argument.default_value().has_value());
      found->defaults.push_back(argument.default_value().value_or(IValue()));
    }
    *result = found;
    return 0;
  });
}

// Calls an operator. Arguments not given take the schema's defaults. Returns how many results there are.
SHIM_API int32_t torch_call(const Operator* op, const Value* arguments, int32_t count, const Value** result) {
  return guarded([&] {
    const size_t given = count, expected = op->types.size();
    TORCH_CHECK(given <= expected && (given == expected || !op->required[given]),
                op->handle.schema(), " cannot be called with ", count, " arguments");
    c10::Stack stack;
    stack.reserve(expected);
    for (size_t i = 0; i < given; i++) stack.push_back(unpack(arguments[i], op->types[i]));
    stack.insert(stack.end(), op->defaults.begin() + given, op->defaults.end());
    op->handle.callBoxed(&stack);
    results.clear();
    for (const IValue& item : stack) pack(item);
    *result = results.data();
    return static_cast<int32_t>(results.size());
  });
}
