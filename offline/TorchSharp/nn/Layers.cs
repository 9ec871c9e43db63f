// The layers: Linear, Embedding, LayerNorm, Dropout and activations. torch.nn makes them.
using TorchSharp.Modules;
using static TorchSharp.torch;
using F = TorchSharp.torch.nn.functional;

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class nn
        {
            public enum Reduction { None, Mean, Sum }

            public static Linear Linear(long inputSize, long outputSize, bool hasBias = true, Device? device = null,
                ScalarType? dtype = null) =>
                new(inputSize, outputSize, hasBias, device, dtype);

            public static Embedding Embedding(long num_embeddings, long embedding_dims, long? padding_idx = null, double? max_norm = null,
                double norm_type = 2, bool scale_grad_by_freq = false, bool sparse = false, Device? device = null, ScalarType? dtype = null)
            {
                var weight = empty(num_embeddings, embedding_dims, dtype, device).normal_();
                if (padding_idx is { } row) weight.select(0, row).zero_();
                return new(weight, true, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse);
            }

            public static Embedding Embedding_from_pretrained(Tensor embeddings, bool freeze = true, long? padding_idx = null,
                double? max_norm = null, double norm_type = 2, bool scale_grad_by_freq = false, bool sparse = false, Device? device = null,
                ScalarType? dtype = null)
            {
                var weight = embeddings.detach().to(dtype ?? embeddings.dtype, device ?? embeddings.device);
                return new(weight, !freeze, padding_idx, max_norm, norm_type, scale_grad_by_freq, sparse);
            }

            public static LayerNorm LayerNorm(long[] normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true,
                Device? device = null, ScalarType? dtype = null) => new(normalized_shape, eps, elementwise_affine, bias, device, dtype);

            public static LayerNorm LayerNorm(long normalized_shape, double eps = 1e-05, bool elementwise_affine = true, bool bias = true,
                Device? device = null, ScalarType? dtype = null) => new([normalized_shape], eps, elementwise_affine, bias, device, dtype);

            public static Dropout Dropout(double p = 0.5, bool inplace = false) => new(p, inplace);

            public static Identity Identity() => new();

            public static ReLU ReLU(bool inplace = false) => new(inplace);

            public static GELU GELU() => new();

            public static SiLU SiLU() => new();

            public static Sigmoid Sigmoid() => new();

            public static Tanh Tanh() => new();

            public static Softmax Softmax(long dim) => new(dim);

            public static Parameter Parameter(Tensor data, bool requires_grad = true) => new(data, requires_grad);
        }
    }
}

namespace TorchSharp.Modules
{
    public sealed class Linear : nn.Module<Tensor, Tensor>
    {
        internal Linear(long inputs, long outputs, bool hasBias, Device? device, ScalarType? dtype) : base(nameof(Linear))
        {
            double bound = 1 / Math.Sqrt(inputs);
            weight = nn.Parameter(nn.init.kaiming_uniform_(empty(outputs, inputs, dtype, device), Math.Sqrt(5)));
            if (hasBias) bias = nn.Parameter(empty(outputs, dtype, device).uniform_(-bound, bound));
        }

        public Parameter weight
        {
            get => Own(nameof(weight))!;
            set => Own(nameof(weight), value);
        }

        public Parameter? bias
        {
            get => Own(nameof(bias));
            set => Own(nameof(bias), value);
        }

        public override Tensor forward(Tensor tensor) => F.linear(tensor, weight, bias);
    }

    public sealed class Embedding : nn.Module<Tensor, Tensor>
    {
        private readonly long paddingIndex;
        private readonly double? maxNorm;
        private readonly double normType;
        private readonly bool scaleGradByFreq, sparse;

        internal Embedding(Tensor weight, bool requiresGrad, long? paddingIndex, double? maxNorm, double normType, bool scaleGradByFreq,
            bool sparse) : base(nameof(Embedding))
        {
            this.weight = nn.Parameter(weight, requiresGrad);
            (this.paddingIndex, this.maxNorm, this.normType) = (paddingIndex ?? -1, maxNorm, normType);
            (this.scaleGradByFreq, this.sparse) = (scaleGradByFreq, sparse);
        }

        public Parameter weight
        {
            get => Own(nameof(weight))!;
            set => Own(nameof(weight), value);
        }

        public override Tensor forward(Tensor input)
        {
            if (maxNorm is { } norm)
            {
                using var _ = no_grad();
                CallVoid("embedding_renorm_", weight, input, norm, normType);
            }
            return Call("embedding", weight, input, paddingIndex, scaleGradByFreq, sparse);
        }
    }

    public sealed class LayerNorm : nn.Module<Tensor, Tensor>
    {
        private readonly long[] shape;
        private readonly double eps;

        internal LayerNorm(long[] shape, double eps, bool affine, bool hasBias, Device? device, ScalarType? dtype) : base(nameof(LayerNorm))
        {
            (this.shape, this.eps) = (shape, eps);
            if (affine) weight = nn.Parameter(ones(shape, dtype, device));
            if (affine && hasBias) bias = nn.Parameter(zeros(shape, dtype, device));
        }

        public Parameter? weight
        {
            get => Own(nameof(weight));
            set => Own(nameof(weight), value);
        }

        public Parameter? bias
        {
            get => Own(nameof(bias));
            set => Own(nameof(bias), value);
        }

        public override Tensor forward(Tensor tensor) => F.layer_norm(tensor, shape, weight, bias, eps);
    }

    public sealed class Dropout : nn.Module<Tensor, Tensor>
    {
        private readonly double p;
        private readonly bool inplace;

        internal Dropout(double p, bool inplace) : base(nameof(Dropout)) => (this.p, this.inplace) = (p, inplace);

        public override Tensor forward(Tensor tensor) => F.dropout(tensor, p, training, inplace);
    }

    public sealed class ReLU : nn.Module<Tensor, Tensor>
    {
        private readonly bool inplace;

        internal ReLU(bool inplace) : base(nameof(ReLU)) => this.inplace = inplace;

        public override Tensor forward(Tensor tensor) => F.relu(tensor, inplace);
    }

    public sealed class Softmax : nn.Module<Tensor, Tensor>
    {
        private readonly long dim;

        internal Softmax(long dim) : base(nameof(Softmax)) => this.dim = dim;

        public override Tensor forward(Tensor tensor) => tensor.softmax(dim);
    }

    public sealed class Identity : nn.Module<Tensor, Tensor>
    {
        internal Identity() : base(nameof(Identity))
        {
        }

        public override Tensor forward(Tensor tensor) => tensor.alias();
    }

    public sealed class GELU : nn.Module<Tensor, Tensor>
    {
        internal GELU() : base(nameof(GELU))
        {
        }

        public override Tensor forward(Tensor tensor) => tensor.gelu();
    }

    public sealed class SiLU : nn.Module<Tensor, Tensor>
    {
        internal SiLU() : base(nameof(SiLU))
        {
        }

        public override Tensor forward(Tensor tensor) => tensor.silu();
    }

    public sealed class Sigmoid : nn.Module<Tensor, Tensor>
    {
        internal Sigmoid() : base(nameof(Sigmoid))
        {
        }

        public override Tensor forward(Tensor tensor) => tensor.sigmoid();
    }

    public sealed class Tanh : nn.Module<Tensor, Tensor>
    {
        internal Tanh() : base(nameof(Tanh))
        {
        }

        public override Tensor forward(Tensor tensor) => tensor.tanh();
    }
}
