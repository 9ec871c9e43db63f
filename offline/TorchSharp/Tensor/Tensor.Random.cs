// Random values in place, and drawing from tensors of probabilities.
namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor uniform_(double from, double to, Generator? generator = null) => CallInPlace("uniform_", this, from, to, generator);
        public Tensor normal_(double mean = 0, double std = 1, Generator? generator = null) =>
            CallInPlace("normal_", this, mean, std, generator);
        public Tensor exponential_(double lambda = 1, Generator? generator = null) => CallInPlace("exponential_", this, lambda, generator);
        public Tensor bernoulli(Generator? generator = null) => Call("bernoulli", this, generator);
        public Tensor bernoulli_(double p = 0.5, Generator? generator = null) => CallInPlace("bernoulli_.float", this, p, generator);
        public Tensor bernoulli_(Tensor p, Generator? generator = null) => CallInPlace("bernoulli_.Tensor", this, p, generator);
        public Tensor random_(double from, double to, Generator? generator = null) =>
            CallInPlace("random_.from", this, (long)from, (long)to, generator);
        public Tensor multinomial(long num_samples, bool replacement = false, Generator? generator = null) =>
            Call("multinomial", this, num_samples, replacement, generator);
    }
}
