using System.Runtime.ExceptionServices;
using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>
/// A differentiable function of one output that this library computes by itself, forward and backward.
/// <para>
/// Its backward pass leaves no tensors behind: for a GPU libtorch calls it on a thread of its own, where no dispose scope is open, and what it makes would stay in the GPU's
/// memory until the garbage collector, which knows nothing of that memory, came by. Nor does it throw: an exception cannot pass through libtorch, and would end the process.
/// <see cref="BackwardPass"/> throws it afterwards.
/// </para>
/// </summary>
internal abstract class FusedFunction<T> : autograd.SingleTensorFunction<T> where T : FusedFunction<T>, new()
{
    private const string InputsKey = "inputs", FailureKey = "failure";

    public sealed override Tensor forward(autograd.AutogradContext ctx, params object[] vars)
    {
        ctx.save_data(InputsKey, vars.Length);
        ctx.save_data(FailureKey, BackwardPass.FailureOfThisThread);
        return Compute(ctx, vars);
    }

    public sealed override List<Tensor> backward(autograd.AutogradContext ctx, Tensor grad_output)
    {
        ReturnedGradients.Free();
        using DisposeScope scope = NewDisposeScope();
        using Tensor gradient = grad_output;
        try
        {
            return ReturnedGradients.Keep(Differentiate(ctx, gradient));
        }
        catch (Exception exception)
        {
            ((BackwardPass.Failure)ctx.get_data(FailureKey)!).Exception ??= exception;
            return Enumerable.Repeat<Tensor>(null!, (int)ctx.get_data(InputsKey)!).ToList();
        }
    }

    /// <summary>Computes the output, and saves what the gradients will need.</summary>
    protected abstract Tensor Compute(autograd.AutogradContext ctx, object[] vars);

    /// <summary>The gradients of what the forward pass was given, one for each: null for what is no tensor.</summary>
    protected abstract List<Tensor> Differentiate(autograd.AutogradContext ctx, Tensor gradient);
}

/// <summary>A backward pass through functions of this library.</summary>
internal static class BackwardPass
{
    [ThreadStatic]
    private static Failure? s_failure;

    /// <summary>What went wrong in the backward pass of what a thread has computed.</summary>
    public sealed class Failure
    {
        public Exception? Exception { get; set; }
    }

    public static Failure FailureOfThisThread => s_failure ??= new Failure();

    /// <summary>Computes the gradients of a loss that this thread has computed.</summary>
    public static void Run(Tensor loss)
    {
        Failure failure = FailureOfThisThread;
        failure.Exception = null;
        try
        {
            loss.backward();
        }
        catch when (failure.Exception is not null)
        {
            // What follows from it says less.
        }
        if (failure.Exception is { } exception)
            ExceptionDispatchInfo.Throw(exception);
    }
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
