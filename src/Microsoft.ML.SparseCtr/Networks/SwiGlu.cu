// What SwiGlu does between its products, SiLU(gate) up, and the gradients of that. A block computes so many numbers of a row.
//
// Constant: Number, the type of what is given and put out, float or bfloat16.

struct SwiGlu {
  const Number* inputs;  // [rows, 2 width] gate and up
  Number* hidden;        // [rows, width]
  const Number* hidden_gradient;
  Number* input_gradients;
  int width;
};

__device__ float sigmoid(float value) { return 1 / (1 + __expf(-value)); }

KERNEL(gate, SwiGlu) {
  const int place = blockIdx.y * THREADS + threadIdx.x;
  if (place >= p.width) return;
  const Number* inputs = p.inputs + static_cast<long long>(blockIdx.x) * 2 * p.width;
  const float gate = to_float(inputs[place]), up = to_float(inputs[p.width + place]);
  store(p.hidden + static_cast<long long>(blockIdx.x) * p.width + place, gate * sigmoid(gate) * up);
}

// With s = sigmoid(a), the derivative of SiLU(a) = a s is s (1 + a (1 - s)).
KERNEL(differentiate, SwiGlu) {
  const int place = blockIdx.y * THREADS + threadIdx.x;
  if (place >= p.width) return;
  const long long start = static_cast<long long>(blockIdx.x) * 2 * p.width;
  const float gate = to_float(p.inputs[start + place]), up = to_float(p.inputs[start + p.width + place]), s = sigmoid(gate);
  const float gradient = s * to_float(p.hidden_gradient[static_cast<long long>(blockIdx.x) * p.width + place]);
  store(p.input_gradients + start + place, gradient * up * (1 + gate * (1 - s)));
  store(p.input_gradients + start + p.width + place, gradient * gate);
}
