// A tensor's memory as a whole.
namespace TorchSharp;

public static partial class torch
{
    public abstract class Storage
    {
        /// <summary>Keeps the memory alive.</summary>
        protected Tensor _tensor;

        protected Storage(Tensor tensor) => _tensor = tensor;

        public abstract int element_size();

        /// <summary>The memory's first byte, wherever in it the tensor begins, and on whichever device it is.</summary>
        protected nint data_ptr() => (nint)CallLong("shim::storage_data", _tensor);
    }
}
