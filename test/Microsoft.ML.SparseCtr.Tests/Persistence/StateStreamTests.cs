using TorchSharp;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr.Tests;

public class StateStreamTests
{
    /// <summary>Tensors that are not plain memory of floats go by a copy on the CPU, as those of a GPU do.</summary>
    [Theory]
    [InlineData(ScalarType.Float32)]
    [InlineData(ScalarType.Float64)]
    [InlineData(ScalarType.BFloat16)]
    public void Numbers_are_carried_between_tensors_of_any_type_and_layout(ScalarType dtype)
    {
        Tensor plain = arange(6, ScalarType.Float32).reshape(2, 3);
        Tensor[] tensors = [plain, plain.to(dtype), plain.t().contiguous().to(dtype).t()];
        foreach (Tensor from in tensors)
        {
            foreach (Tensor to in tensors.Select(zeros_like))
            {
                using var stream = new MemoryStream();
                new StateStream(stream, isReading: false).Carry(from);
                Assert.Equal(6 * sizeof(float), stream.Position);
                stream.Position = 0;
                new StateStream(stream, isReading: true).Carry(to);
                Assert.Equal(plain, to.to(ScalarType.Float32));
            }
        }

        static Tensor zeros_like(Tensor tensor) => (tensor * 0).requires_grad_();
    }
}
