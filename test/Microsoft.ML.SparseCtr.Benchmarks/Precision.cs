namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>What the product and PyTorch compute in.</summary>
/// <param name="Name">As PyTorch calls it, and as <see cref="Measurements"/> calls the card's rate of matrix products in it.</param>
/// <param name="Tolerance">By how much PyTorch's numbers may differ from the product's, of the largest.</param>
/// <param name="Bytes">Of a number.</param>
/// <param name="Applied">Makes options compute in it.</param>
internal sealed record Precision(string Name, double Tolerance, int Bytes, Func<SparseCtrTrainer.Options, SparseCtrTrainer.Options> Applied)
{
    public static Precision Float32 { get; } = new("float32", 1e-4, sizeof(float), options => options);

    public static Precision BFloat16 { get; } = new("bfloat16", 1e-1, 2, options => options with { MixedPrecision = true });

    /// <summary>Those that a GPU is measured in.</summary>
    public static Precision[] All { get; } = [Float32, BFloat16];

    public static Precision Named(string name) => All.Single(precision => precision.Name == name);
}
