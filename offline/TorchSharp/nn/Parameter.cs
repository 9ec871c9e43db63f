// A tensor that is a parameter of a module.
using static TorchSharp.torch;

namespace TorchSharp.Modules;

public class Parameter : Tensor
{
    /// <summary>Takes over <paramref name="data"/>, which becomes empty, and its place in a dispose scope.</summary>
    public Parameter(Tensor data, bool requires_grad = true) : base(data.with_requires_grad(requires_grad))
    {
    }
}
