using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A differentiable function of one output that this library computes by itself, forward and backward, and whose backward pass leaves no tensors behind. For a GPU
/// libtorch calls it on a thread of its own, where no dispose scope is open: what it makes would stay in the GPU's memory until the garbage collector, which knows
/// nothing of that memory, came by.
/// </summary>
internal abstract class FusedFunction<T> : autograd.SingleTensorFunction<T> where T : FusedFunction<T>, new()
{
    public sealed override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Free();
        using DisposeScope scope = NewDisposeScope();
        using Tensor gradient = grad_output;
        return ReturnedGradients.Keep(Differentiate(ctx, gradient));
    }

    /// <summary>The gradients of what the forward pass was given, one for each: null for what is no tensor.</summary>
    protected abstract List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient);
}

/// <summary>What a thread's last call of a backward pass returned. Libtorch has taken it when that thread calls the next.</summary>
file static class ReturnedGradients
{
    [ThreadStatic]
    private static List<Tensor>? s_returned;

    public static void Free()
    {
        s_returned?.ForEach(gradient => gradient?.Dispose());
        s_returned = null;
    }

    public static List<Tensor> Keep(List<Tensor> gradients)
    {
        foreach (Tensor gradient in gradients)
            gradient?.DetachFromDisposeScope();
        return s_returned = gradients;
    }
}
