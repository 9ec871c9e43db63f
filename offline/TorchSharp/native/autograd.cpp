// Autograd: backward and grad as operators, and graph nodes whose backward is C# code.
#include "shim.h"

#include <ATen/ops/zeros.h>
#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>
#include <torch/csrc/autograd/saved_variable.h>
#include <torch/library.h>

#include <algorithm>

using namespace shim;
using torch::autograd::variable_list;

namespace {

// An undefined tensor in a list stands for "none".
void backward(at::TensorList tensors, at::TensorList gradients, bool retain_graph, bool create_graph, at::TensorList inputs) {
  torch::autograd::backward(tensors.vec(), gradients.vec(), retain_graph, create_graph, inputs.vec());
}

variable_list grad(at::TensorList outputs, at::TensorList inputs, at::TensorList gradients, bool retain_graph, bool create_graph,
                   bool allow_unused) {
  return torch::autograd::grad(outputs.vec(), inputs.vec(), gradients.vec(), retain_graph, create_graph, allow_unused);
}

// Calls C#, which takes `count` gradients and gives one (or null) for each of the node's edges; 0, or -1 and the reason in `error`.
using Backward = int32_t (*)(void* context, void* node, const Value* gradients, int32_t count, Handle* result, int32_t edges,
                             std::string* error);
using Release = void (*)(void* context);

// A node of the graph whose backward is C# code. `context` is a reference to the C# object, given back when the graph is gone.
struct ManagedNode : torch::autograd::Node {
  ManagedNode(std::string name, void* context, Backward call, Release release, bool materialize)
      : name_(std::move(name)), context_(context), call_(call), release_(release), materialize_(materialize) {}

  ~ManagedNode() override { release_(context_); }

  std::string name() const override { return name_; }

  void release_variables() override {
    saved.clear();
    released = true;
  }

  variable_list apply(variable_list&& gradients) override {
    std::vector<Value> given;
    std::vector<Handle> received(num_outputs());
    for (size_t i = 0; i < gradients.size(); i++) {
      const bool zero = materialize_ && !gradients[i].defined();
      given.push_back(value(zero ? at::zeros(shapes[i].first, shapes[i].second) : gradients[i]));
    }
    std::string error;
    const int32_t count = static_cast<int32_t>(given.size()), edges = static_cast<int32_t>(received.size());
    const int32_t status = call_(context_, this, given.data(), count, received.data(), edges, &error);
    variable_list result;
    for (Handle handle : received) result.push_back(take(handle));
    TORCH_CHECK(status == 0, error);
    return result;
  }

  bool released = false;
  std::vector<torch::autograd::SavedVariable> saved;
  std::vector<std::pair<std::vector<int64_t>, at::TensorOptions>> shapes;  // of the outputs

 private:
  std::string name_;
  void* context_;
  Backward call_;
  Release release_;
  bool materialize_;
};

bool contains(at::TensorList list, const at::Tensor& tensor) {
  return std::any_of(list.begin(), list.end(), [&](const at::Tensor& item) { return item.is_same(tensor); });
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(shim, library) {
  library.def("backward", backward);
  library.def("grad", grad);
}

// What a forward in C# took and made. Mirrors FunctionCall in Native.cs.
struct FunctionCall {
  const char* name;
  void* context;
  Backward backward;
  Release release;
  uint8_t materialize;
  Value inputs, outputs, dirty, non_differentiable, saved;  // TensorLists
};

static variable_list list(const Value& value) {
  variable_list result;
  for (int32_t i = 0; i < value.length; i++) result.push_back(borrow(static_cast<Handle*>(value.pointer)[i]));
  return result;
}

// Makes the outputs of a forward in C# part of the graph.
SHIM_API int32_t torch_record_function(const FunctionCall* call) {
  std::shared_ptr<ManagedNode> node(
      new ManagedNode(call->name, call->context, call->backward, call->release, call->materialize), torch::autograd::deleteNode);
  return guarded([&] {
    const auto inputs = list(call->inputs), dirty = list(call->dirty), constant = list(call->non_differentiable);
    auto outputs = list(call->outputs);
    node->set_next_edges(torch::autograd::collect_next_edges(inputs));
    for (at::Tensor& output : outputs) {
      const bool differentiable = at::isFloatingType(output.scalar_type()) && !contains(constant, output);
      node->shapes.emplace_back(output.sizes().vec(), output.options());
      if (!differentiable) {
        node->add_input_metadata(torch::autograd::Node::undefined_input());
      } else if (contains(dirty, output)) {
        torch::autograd::impl::rebase_history(output, {node, node->add_input_metadata(output)});
      } else {
        torch::autograd::set_history(output, node);
      }
    }
    for (const at::Tensor& tensor : list(call->saved)) node->saved.emplace_back(tensor, contains(outputs, tensor));
    return 0;
  });
}

// The tensors that the forward saved, for its backward.
SHIM_API int32_t torch_saved_tensors(ManagedNode* node, const Value** result) {
  return guarded([&] {
    TORCH_CHECK(!node->released, "Trying to backward through the graph a second time, after its saved tensors were freed: "
                                 "specify retain_graph the first time");
    results.clear();
    for (const auto& variable : node->saved) results.push_back(value(variable.unpack(node->shared_from_this())));
    *result = results.data();
    return static_cast<int32_t>(results.size());
  });
}

SHIM_API void torch_set_error(std::string* error, const char* message) { *error = message; }
