// torch.autograd: gradients of tensors.
namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        public static void backward(IList<Tensor> tensors, IList<Tensor>? grad_tensors = null, bool? retain_graph = null,
            bool create_graph = false, IList<Tensor>? inputs = null) =>
            CallVoid("shim::backward", tensors.ToArray(), Filled(grad_tensors, tensors.Count), retain_graph ?? create_graph, create_graph,
                inputs?.ToArray() ?? []);

        public static void backward(Tensor tensor, IList<Tensor>? grad_tensors = null, bool? retain_graph = null,
            bool create_graph = false, IList<Tensor>? inputs = null) =>
            backward([tensor], grad_tensors, retain_graph, create_graph, inputs);

        public static void backward(Tensor tensor, Tensor grad_tensor, bool? retain_graph = null, bool create_graph = false,
            IList<Tensor>? inputs = null) => backward([tensor], [grad_tensor], retain_graph, create_graph, inputs);

        /// <summary>With <paramref name="allow_unused"/>, the gradient of an input that was not used is null.</summary>
        public static IList<Tensor> grad(IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null,
            bool retain_graph = false, bool create_graph = false, bool allow_unused = false) =>
            CallList("shim::grad", outputs.ToArray(), inputs.ToArray(), Filled(grad_outputs, outputs.Count), retain_graph || create_graph,
                create_graph, allow_unused);

        private static Tensor?[] Filled(IList<Tensor>? gradients, int count) => gradients?.ToArray() ?? new Tensor?[count];
    }
}
