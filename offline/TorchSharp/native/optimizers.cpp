// The optimizers' steps and gradient clipping: one operator call for a whole group of parameters.
#include "shim.h"

#include <ATen/ATen.h>
#include <torch/library.h>

#include <cmath>

namespace {

using at::Tensor;
using at::TensorList;

Tensor descent_direction(const Tensor& parameter, bool maximize, const char* sparse_error) {
  Tensor gradient = parameter.grad();
  TORCH_CHECK(sparse_error == nullptr || !gradient.is_sparse(), sparse_error);
  return maximize ? gradient.neg() : gradient;
}

// buffers is empty without momentum; in a parameter's first step its buffer becomes the gradient.
void sgd_step(TensorList parameters, TensorList buffers, at::IntArrayRef steps, double lr, double momentum, double dampening,
              double weight_decay, bool nesterov, bool maximize) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); i++) {
    Tensor direction = descent_direction(parameters[i], maximize, nullptr);
    if (weight_decay != 0) direction = direction.add(parameters[i], weight_decay);
    if (!buffers.empty()) {
      if (steps[i] == 1) {
        buffers[i].add_(direction);
      } else {
        buffers[i].mul_(momentum).add_(direction, 1 - dampening);
      }
      direction = nesterov ? direction.add(buffers[i], momentum) : buffers[i];
    }
    parameters[i].add_(direction, -lr);
  }
}

// Adam, and AdamW where the weight decay is decoupled from the gradient. max_squares is empty unless amsgrad.
void adam_step(TensorList parameters, TensorList means, TensorList squares, TensorList max_squares, at::IntArrayRef steps, double lr,
               double beta1, double beta2, double eps, double weight_decay, bool decoupled, bool maximize) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); i++) {
    const Tensor& parameter = parameters[i];
    Tensor direction = descent_direction(parameter, maximize, "Adam and AdamW do not support sparse gradients");
    if (weight_decay != 0 && decoupled) parameter.mul_(1 - lr * weight_decay);
    if (weight_decay != 0 && !decoupled) direction = direction.add(parameter, weight_decay);
    means[i].mul_(beta1).add_(direction, 1 - beta1);
    squares[i].mul_(beta2).addcmul_(direction, direction, 1 - beta2);
    if (!max_squares.empty()) at::maximum_out(const_cast<Tensor&>(max_squares[i]), max_squares[i], squares[i]);
    const double correction1 = 1 - std::pow(beta1, steps[i]), correction2 = 1 - std::pow(beta2, steps[i]);
    const Tensor& square = max_squares.empty() ? squares[i] : max_squares[i];
    parameter.addcdiv_(means[i], (square.sqrt() / std::sqrt(correction2)).add_(eps), -lr / correction1);
  }
}

void adagrad_step(TensorList parameters, TensorList sums, at::IntArrayRef steps, double lr, double lr_decay, double weight_decay,
                  double eps) {
  at::NoGradGuard no_grad;
  for (size_t i = 0; i < parameters.size(); i++) {
    Tensor direction = descent_direction(parameters[i], false, "Adagrad does not support sparse gradients");
    if (weight_decay != 0) direction = direction.add(parameters[i], weight_decay);
    sums[i].addcmul_(direction, direction, 1);
    parameters[i].addcdiv_(direction, sums[i].sqrt().add_(eps), -lr / (1 + (steps[i] - 1) * lr_decay));
  }
}

// Sets the gradients that exist to zero.
void zero_grad(TensorList parameters) {
  for (const Tensor& parameter : parameters) {
    if (parameter.grad().defined()) parameter.mutable_grad().detach_().zero_();
  }
}

// Scales the gradients so that their total norm is at most max_norm; the norm before.
double clip_grad_norm(TensorList parameters, double max_norm, double norm_type) {
  at::NoGradGuard no_grad;
  std::vector<Tensor> gradients, norms;
  for (const Tensor& parameter : parameters) {
    if (!parameter.grad().defined()) continue;
    gradients.push_back(parameter.grad());
    norms.push_back(gradients.back().norm(norm_type).to(at::kDouble));
  }
  if (gradients.empty()) return 0;
  const double total = at::stack(norms).norm(norm_type).item<double>();
  const double scale = max_norm / (total + 1e-6);
  if (scale < 1) {
    for (Tensor& gradient : gradients) gradient.mul_(scale);
  }
  return total;
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(shim, library) {
  library.def("sgd_step", sgd_step);
  library.def("adam_step", adam_step);
  library.def("adagrad_step", adagrad_step);
  library.def("zero_grad", zero_grad);
  library.def("clip_grad_norm", clip_grad_norm);
}
