using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>Where a tensor's elements are, in the memory of whatever device it is on. TorchSharp tells this to what is derived from a storage only.</summary>
internal sealed class DeviceMemory : Storage
{
    private readonly Tensor _owner;

    private DeviceMemory(Tensor tensor) : base(tensor) => _owner = tensor;

    public override int element_size() => (int)_owner.ElementSize;

    /// <summary>The address of the first element of a contiguous tensor, which must be kept alive until the kernels that use it have been launched.</summary>
    public static nint AddressOf(Tensor tensor)
    {
        if (!tensor.is_contiguous())
            throw new ArgumentException($"The tensor [{string.Join(", ", tensor.shape)}] is not contiguous.", nameof(tensor));
        return new DeviceMemory(tensor).data_ptr() + (nint)(tensor.storage_offset() * tensor.ElementSize);
    }
}
