// Tensors as objects: data in and out, element types, lifetimes, errors, random numbers, threads and devices.
using System.Runtime.InteropServices;
using static TorchSharp.Tests.Expect;

namespace TorchSharp.Tests;

public class TensorTests
{
    [Fact]
    public void Tensor_copies_arrays_of_every_type_and_rank()
    {
        Assert.Equal(ScalarType.Float32, tensor(new[] { 1f }).dtype);
        Assert.Equal(ScalarType.Float64, tensor(new[] { 1.0 }).dtype);
        Assert.Equal(ScalarType.Int32, tensor(new[] { 1 }).dtype);
        Assert.Equal(ScalarType.Int64, tensor(new[] { 1L }).dtype);
        Assert.Equal(ScalarType.Bool, tensor(new[] { true }).dtype);
        Assert.Equal(ScalarType.Byte, tensor(new byte[] { 1 }).dtype);
        Assert.Equal([2, 1], tensor(new float[,] { { 1 }, { 2 } }).shape);
        Assert.Equal([1, 1, 2], tensor(new long[,,] { { { 1, 2 } } }).shape);
        Assert.Equal([1, 2], tensor(new List<float> { 1, 2 }, 1, 2).shape);
        Assert.Equal([1, 2, 1], tensor(new List<double> { 1, 2 }, 1, 2, 1).shape);
        Assert.Equal([2, 2], tensor(new float[] { 1, 2, 3, 4 }, [2, 2]).shape);
        Assert.Equal([2, 2], tensor(new float[] { 1, 2, 3, 4 }.AsMemory(), [2, 2]).shape);
        Assert.Equal([2], tensor(new List<int> { 1, 2 }).shape);
        Assert.Throws<ArgumentException>(() => tensor(new float[3], [2, 2]));
        float[] source = [1];
        var copy = tensor(source);
        source[0] = 2;
        Equal([1], copy);
    }

    [Fact]
    public void Tensor_of_a_scalar_has_no_dimensions()
    {
        Assert.Equal((ScalarType.Float64, 0L), (tensor(1.5).dtype, tensor(1.5).ndim));
        Assert.Equal(ScalarType.Float32, tensor(1.5f).dtype);
        Assert.Equal(ScalarType.Int32, tensor(1).dtype);
        Assert.Equal(ScalarType.Int64, tensor(1L).dtype);
        Assert.Equal(ScalarType.Float32, tensor(1.5, float32).dtype);
        Assert.Equal(1.5f, 1.5f.ToTensor().ToSingle());
        Tensor implicitly = 2.5;
        Assert.Equal(2.5, implicitly.item<double>());
    }

    [Fact]
    public void From_array_and_frombuffer_share_the_arrays_memory()
    {
        float[] array = [1, 2, 3];
        var shared = from_array(array);
        var part = frombuffer(array, float32, count: 1, offset: 2);
        array[2] = 9;
        shared[0] = 7f;
        Equal([7, 2, 9], shared);
        Equal([9], part);
        Equal([7, 2, 9], as_tensor(array));
        Assert.Equal(7, array[0]);
        Equal([1, 0], from_array(new[,] { { true, false } }).flatten());
        Assert.Throws<ArgumentException>(() => frombuffer(array, float32, count: 2, offset: 2));
    }

    [Fact]
    public void A_shared_array_lives_as_long_as_its_tensor()
    {
        var (shared, array) = Share();
        GC.Collect();
        Assert.True(array.IsAlive);
        shared.Dispose();
        GC.Collect();
        Assert.False(array.IsAlive);

        static (Tensor, WeakReference) Share()
        {
            long[] array = [1, 2, 3];
            return (from_array(array), new WeakReference(array));
        }
    }

    [Fact]
    public void Elements_are_read_and_written_along_the_strides()
    {
        var x = M(2, 1, 2, 3, 4, 5, 6);
        var columns = x.t().data<double>();
        Assert.Equal([1, 4, 2, 5, 3, 6], columns.ToArray());
        Assert.Equal(5, columns[1, 1]);
        Assert.Equal(6, columns.Last());
        Assert.Equal(6, columns.Count);
        columns[2, 0] = 30;
        columns.CopyFrom([10.0, 40.0]);
        Equal([10, 2, 30, 40, 5, 6], x);
        Assert.Equal(40.0, ((double[,])x.data<double>().ToNDArray())[1, 0]);
        var buffer = new double[3];
        x.data<double>().CopyTo(buffer.AsSpan(), 1, 4);
        Assert.Equal([0, 5, 6], buffer);
        Assert.Throws<ArgumentException>(() => x.data<float>());
        Assert.Throws<IndexOutOfRangeException>(() => columns[3, 0]);
    }

    [Fact]
    public void Of_tensors_of_several_dimensions_an_empty_one_has_no_array()
    {
        Assert.Empty(torch.zeros(0).data<float>().ToArray());
        Assert.Throws<ArgumentOutOfRangeException>(() => torch.zeros(new long[] { 3, 0 }).data<float>().ToArray());
    }

    [Fact]
    public void Bytes_are_the_memory_of_a_contiguous_tensor()
    {
        var x = tensor(new[] { 1f, 2f });
        MemoryMarshal.Cast<byte, float>(x.bytes)[1] = 5;
        Equal([1, 5], x);
        x.bytes = MemoryMarshal.AsBytes<float>([7f, 8f]).ToArray();
        Equal([7, 8], x);
        Assert.Throws<InvalidOperationException>(() => _ = zeros(2, 2).t().bytes[0]);
        Assert.Throws<ArgumentException>(() => x.bytes = new byte[3]);
    }

    [Fact]
    public void One_element_becomes_a_number_of_any_type()
    {
        var x = tensor(3);
        Assert.Equal((3.0, 3f, 3L, 3, (short)3, (byte)3, true),
            (x.ToDouble(), x.ToSingle(), x.ToInt64(), x.ToInt32(), x.ToInt16(), x.ToByte(), x.ToBoolean()));
        Assert.Equal(2.5f, (float)tensor(2.5));
        Assert.Equal(2.5, tensor(2.5).ToScalar().ToDouble());
        Assert.Equal(3, x.item<int>());
        Assert.ThrowsAny<Exception>(() => ones(2).ToDouble());
        Assert.ThrowsAny<Exception>(() => ones(2).item<float>());
        Assert.ThrowsAny<Exception>(() => x.item<float>());
    }

    [Fact]
    public void A_tensor_describes_itself()
    {
        var x = zeros(2, 3, float64);
        Assert.Equal((2L, 2L, 2L, 6L, 6L, 8L, 8L),
            (x.ndim, x.dim(), x.Dimensions, x.numel(), x.NumberOfElements, x.ElementSize, x.element_size()));
        Assert.Equal([3, 1], x.stride());
        Assert.Equal((3L, 1L, 2L), (x.stride(0), x.stride(-1), x.size(0)));
        Assert.Equal(3, x[1].storage_offset());
        Assert.True(x.is_contiguous() && x.is_floating_point() && x.is_cpu());
        Assert.False(x.t().is_contiguous() || x.is_integral() || x.is_cuda || x.is_sparse || x.is_meta);
        Assert.Equal((DeviceType.CPU, -1, "cpu"), (x.device_type, x.device_index, x.device.ToString()));
        Assert.Throws<IndexOutOfRangeException>(() => x.size(2));
        Assert.Equal("[2x3], type = Float64, device = cpu\n[0, 0, 0]\n[0, 0, 0]]", x.ToString().Replace("[[", "["));
        Assert.True(tensor(1).is_nonzero());
        Assert.Equal(6, numel(x));
        Assert.True(is_tensor(x) && is_floating_point(x) && is_floating_point(float16) && is_integral(int64) && !is_integral(float32));
        x.name = "weights";
        Assert.Equal("weights", x.name);
        Assert.NotEqual(0, x.Handle);
    }

    [Fact]
    public void A_storage_begins_where_its_memory_does()
    {
        var x = arange(6, float32);
        var part = x.slice(0, 2, 6, 2);
        Assert.Equal(2, part.storage_offset());
        Assert.Equal(new Memory(x).Begin, new Memory(part).Begin);
        Assert.NotEqual(new Memory(x).Begin, new Memory(part.clone()).Begin);
        Assert.Equal(2f, Marshal.PtrToStructure<float>(new Memory(part).Begin + 2 * sizeof(float)));
    }

    [Fact]
    public void Memory_is_pinned_only_where_there_is_a_gpu()
    {
        var x = ones(3);
        Assert.False(x.is_pinned());
        if (cuda.is_available()) Assert.True(x.pin_memory().is_pinned());
        else Assert.Throws<ExternalException>(() => x.pin_memory());
    }

    [Fact]
    public void Tensors_convert_between_element_types()
    {
        var x = V(1.7, 0);
        Equal([1, 0], x.@int());
        Equal([1, 0], x.@bool());
        Assert.Equal(
            [ScalarType.Float32, ScalarType.Float64, ScalarType.Int64, ScalarType.Int16, ScalarType.Int8, ScalarType.Byte,
                ScalarType.Float16, ScalarType.BFloat16],
            new[] { x.@float(), x.@double(), x.@long(), x.@short(), x.@char(), x.@byte(), x.half(), x.bfloat16() }.Select(t => t.dtype));
        Assert.Equal(ScalarType.Float32, x.to(ones(1)).dtype);
        Assert.Equal(ScalarType.Float32, x.type_as(ones(1)).dtype);
        Assert.Equal(ScalarType.Float32, x.type(float32).dtype);
        Equal([1.7, 0], x.to("cpu").to(CPU).to(DeviceType.CPU).cpu());
        x.to(float32, disposeAfter: true);
        Assert.True(x.IsInvalid);
    }

    [Fact]
    public void A_wrong_shape_throws_libtorchs_message_and_the_process_lives_on()
    {
        void Throws(string message, Func<Tensor> wrong) => Assert.Contains(message, Assert.Throws<ExternalException>(wrong).Message);
        Throws("mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)", () => ones(2, 3).matmul(ones(2, 3)));
        Throws("mat1 and mat2 shapes cannot be multiplied", () => ones(2, 3).mm(ones(2, 3)));
        Throws("batch", () => ones(2, 3, 1).bmm(ones(1, 3, 1)));
        Throws("The size of tensor a (2) must match the size of tensor b (3)", () => ones(2) + ones(3));
        Throws("shape '[5]' is invalid for input of size 4", () => ones(4).view(5));
        Throws("index 7 is out of bounds for dimension 0 with size 4", () => ones(4)[7]);
        Throws("Sizes of tensors must match", () => cat([ones(1, 2), ones(1, 3)], 0));
        Throws("Dimension out of range", () => ones(2).sum(3));
        Equal([2], ones(1) + 1);
    }

    [Fact]
    public void A_disposed_tensor_cannot_be_used()
    {
        var x = ones(1);
        x.Dispose();
        x.Dispose();
        Assert.True(x.IsInvalid);
        Assert.Throws<InvalidOperationException>(() => x + 1);
        Assert.Throws<InvalidOperationException>(() => x.shape);
    }

    [Fact]
    public void Forgotten_tensors_are_freed_by_their_finalizers()
    {
        long before = Tensor.TotalCount;
        Forget();
        for (int i = 0; i < 20 && Tensor.TotalCount >= before + 1000; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
        }
        Assert.True(Tensor.TotalCount < before + 1000);
        Assert.True(Tensor.PeakCount >= 1000);

        static void Forget()
        {
            for (int i = 0; i < 1000; i++) ones(1);
        }
    }

    [Theory]
    [InlineData("cpu", DeviceType.CPU, -1)]
    [InlineData("cuda", DeviceType.CUDA, 0)]
    [InlineData("cuda:1", DeviceType.CUDA, 1)]
    public void Devices_are_made_from_text(string text, DeviceType type, int index)
    {
        Assert.Equal((type, index), (device(text).type, device(text).index));
        Assert.Equal((type, index), (device(type, index).type, device(type, index).index));
        Assert.Equal("cuda:0", CUDA.ToString());
        Assert.Throws<ArgumentException>(() => device("tpu:1:2"));
    }

    [Fact]
    public void Cuda_is_what_the_devices_say()
    {
        Assert.Equal(cuda.device_count() > 0, cuda.is_available());
        Assert.Equal(cuda.is_available(), cuda_is_available());
        if (!cuda.is_available()) Assert.Throws<ExternalException>(() => ones(1).cuda());
    }

    [Fact]
    public void The_same_seed_gives_the_same_numbers()
    {
        using var generator = new Generator(7);
        Func<Tensor>[] draws =
        [
            () => rand(3, generator: generator), () => randn([3], generator: generator), () => randint(0, 10, [3], generator: generator),
            () => randint(10, new Size([3]), generator: generator), () => randperm(5, generator: generator),
                () => normal(1, 2, [3], generator: generator),
            () => zeros(3).uniform_(0, 1, generator), () => zeros(3).normal_(0, 1, generator), () => zeros(3).exponential_(1, generator),
            () => zeros(3).bernoulli_(0.5, generator), () => zeros(3).bernoulli_(full(3, 0.5f), generator),
                () => full(3, 0.5).bernoulli(generator),
            () => zeros(3).random_(0, 9, generator), () => ones(3).multinomial(2, generator: generator),
                () => bernoulli(full(3, 0.5f), generator), () => multinomial(ones(3), 2, false, generator),
            () => nn.init.uniform_(zeros(3), 0, 1, generator), () => nn.init.normal_(zeros(3), 0, 1, generator),
        ];
        foreach (var draw in draws)
        {
            generator.manual_seed(7);
            var first = draw();
            generator.manual_seed(7);
            Equal(Values(first), draw());
        }
        Assert.Equal(7, generator.initial_seed());
    }

    [Fact]
    public void Random_numbers_have_their_distributions()
    {
        using var generator = new Generator(1);
        var uniform = rand(20_000, float64, generator: generator);
        Assert.True(uniform.min().ToDouble() >= 0 && uniform.max().ToDouble() < 1);
        Equal([0.5], uniform.mean().view(1), 0.01);
        var normal = randn(20_000, float64, generator: generator);
        Equal([0, 1], stack([normal.mean(), normal.std()]), 0.03);
        Equal(Values(arange(100)), randperm(100, generator: generator).sort().Values);
        var integers = randint(3, 5, [100], generator: generator);
        Assert.Equal((3L, 4L), (integers.min().ToInt64(), integers.max().ToInt64()));
        Assert.Equal([3], rand_like(ones(3)).shape);
        Assert.Equal([3], randn_like(ones(3)).shape);
        Assert.True(randint_like(ones(30), 2, 4).max().ToDouble() < 4);
    }

    [Fact]
    public void Sizes_are_sequences_of_dimensions()
    {
        Size size = (2, 3);
        Assert.Equal((2, 3L, 6L, "2,3"), (size.Length, size[1], size.numel(), string.Join(",", size)));
        Assert.True(size == new Size([2, 3]) && size != new Size(2) && (size + new Size(4)).Length == 3 && !size.IsScalar);
        Assert.Equal([3], size.Slice(1, 2).Shape);
    }

    [Fact]
    public void Scalars_keep_their_type_and_value()
    {
        Assert.Equal((ScalarType.Int32, 3), (3.ToScalar().Type, 3.ToScalar().ToInt32()));
        Assert.Equal((ScalarType.Float64, 2.5, 2L), (2.5.ToScalar().Type, 2.5.ToScalar().ToDouble(), 2.5.ToScalar().ToInt64()));
        Assert.Equal((ScalarType.Bool, true, 1f), (true.ToScalar().Type, true.ToScalar().ToBoolean(), true.ToScalar().ToSingle()));
    }

    private sealed class Memory(Tensor tensor) : Storage(tensor)
    {
        public nint Begin => data_ptr();

        public override int element_size() => (int)_tensor.ElementSize;
    }
}
