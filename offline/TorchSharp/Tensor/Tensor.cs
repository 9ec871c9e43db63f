// A tensor: its handle and lifetime, what it is (shape, element type, device), its memory, and conversions of type and device.
using TorchSharp.Utils;

namespace TorchSharp;

public static partial class torch
{
    public unsafe partial class Tensor : IDisposable
    {
        private static long totalCount;
        private static long peakCount;

        private nint handle;

        internal Tensor(nint handle)
        {
            this.handle = handle;
            Count();
            DisposeScopeManager.OfThread.Register(this);
        }

        /// <summary>A tensor that takes over the handle, and the place in a dispose scope, of <paramref name="data"/>.</summary>
        private protected Tensor(Tensor data)
        {
            (handle, data.handle) = (data.Handle, 0);
            data.OwningDisposeScope?.Replace(data, this);
            GC.SuppressFinalize(data);
        }

        ~Tensor() => Dispose(false);

        /// <summary>The number of tensors that are neither disposed nor finalized.</summary>
        public static long TotalCount => Interlocked.Read(ref totalCount);

        public static long PeakCount => Interlocked.Read(ref peakCount);

        public nint Handle => handle != 0 ? handle : throw new InvalidOperationException("Tensor invalid -- empty handle.");

        public bool IsInvalid => handle == 0;

        public string? name { get; set; }

        internal DisposeScope? OwningDisposeScope { get; set; }

        public long[] shape
        {
            get
            {
                var description = Describe();
                return All(description.Sizes, description.Dimensions);
            }
        }

        public long ndim => Describe().Dimensions;

        public long Dimensions => ndim;

        public long NumberOfElements => Describe().Elements;

        public long ElementSize => Describe().ElementSize;

        public ScalarType dtype => (ScalarType)Describe().ScalarType;

        public DeviceType device_type => (DeviceType)Describe().DeviceType;

        public int device_index => Describe().DeviceIndex;

        public Device device => new(device_type, device_index);

        public bool is_cuda => device_type == DeviceType.CUDA;

        public bool is_meta => device_type == DeviceType.META;

        public bool is_sparse => Describe().IsSparse != 0;

        /// <summary>The elements of a contiguous tensor in CPU memory.</summary>
        public Span<byte> bytes
        {
            get
            {
                var description = Describe();
                RequireCpu();
                if (description.IsContiguous == 0)
                    throw new InvalidOperationException("The tensor is not contiguous: call contiguous() before reading its bytes.");
                return new Span<byte>(description.Data, checked((int)(description.Elements * description.ElementSize)));
            }
            set
            {
                if (value.Length != NumberOfElements * ElementSize)
                    throw new ArgumentException($"A tensor of {NumberOfElements * ElementSize} bytes cannot take {value.Length} bytes.");
                value.CopyTo(bytes);
            }
        }

        public void Dispose()
        {
            OwningDisposeScope?.MarkAsDisposed(this);
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            nint released = Interlocked.Exchange(ref handle, 0);
            if (released == 0) return;
            Interlocked.Decrement(ref totalCount);
            Native.torch_tensor_free(released);
        }

        public Tensor DetachFromDisposeScope()
        {
            OwningDisposeScope?.Detach((IDisposable)this);
            return this;
        }

        public Tensor MoveToOuterDisposeScope()
        {
            OwningDisposeScope?.MoveToOuter((IDisposable)this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(DisposeScope? other)
        {
            if (OwningDisposeScope is null) other?.Attach((IDisposable)this);
            else OwningDisposeScope.MoveToOther(other, (IDisposable)this);
            return this;
        }

        public Tensor MoveToOtherDisposeScope(Tensor other) => MoveToOtherDisposeScope(other.OwningDisposeScope);

        public override bool Equals(object? obj) => obj is Tensor other && Equals(other);

        public bool Equals(Tensor target) => CallBool("equal", this, target);

        public override int GetHashCode() => base.GetHashCode();

        public long dim() => ndim;

        public long numel() => NumberOfElements;

        public long element_size() => ElementSize;

        public long[] size() => shape;

        public long size(int dim)
        {
            var description = Describe();
            return One(description.Sizes, description.Dimensions, dim);
        }

        public long[] stride()
        {
            var description = Describe();
            return All(description.Strides, description.Dimensions);
        }

        public long stride(int dim)
        {
            var description = Describe();
            return One(description.Strides, description.Dimensions, dim);
        }

        public long storage_offset() => Describe().StorageOffset;

        public bool is_contiguous() => Describe().IsContiguous != 0;

        public bool is_cpu() => device_type == DeviceType.CPU;

        public bool is_floating_point() => torch.is_floating_point(dtype);

        public bool is_integral() => torch.is_integral(dtype);

        /// <summary>Whether the memory is locked, so that a GPU can copy from it while the CPU goes on.</summary>
        public bool is_pinned() => CallBool("is_pinned", this);

        public bool is_nonzero() => CallBool("is_nonzero", this);

        public TensorAccessor<T> data<T>() where T : unmanaged
        {
            if (dtype != ScalarTypeOf(typeof(T)))
                throw new ArgumentException($"A tensor of {dtype} cannot be read as {typeof(T).Name}.");
            return new TensorAccessor<T>(this);
        }

        public T item<T>() where T : unmanaged
        {
            if (NumberOfElements != 1) throw new ArgumentException("item() takes a tensor with exactly one element.");
            if (is_cpu()) return data<T>()[0];
            using var copy = CpuCopy();
            return copy.data<T>()[0];
        }

        public Scalar ToScalar() => CallScalar("item", this);

        public Tensor to(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to_type(type, copy, disposeAfter, non_blocking);

        public Tensor to_type(ScalarType type, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            Converted(Call("to.dtype", this, type, non_blocking, copy), disposeAfter);

        public Tensor to(ScalarType type, Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            Converted(Call("to.device", this, device, type, non_blocking, copy), disposeAfter);

        public Tensor to(Device device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to(dtype, device, copy, disposeAfter, non_blocking);

        public Tensor to(string device, bool copy = false, bool disposeAfter = false, bool non_blocking = false) =>
            to(new Device(device), copy, disposeAfter, non_blocking);

        public Tensor to(DeviceType deviceType, int deviceIndex = -1, bool copy = false, bool disposeAfter = false,
            bool non_blocking = false) =>
            to(new Device(deviceType, deviceIndex), copy, disposeAfter, non_blocking);

        public Tensor to(Tensor other, bool non_blocking = false) => to(other.dtype, other.device, non_blocking: non_blocking);

        public Tensor type(ScalarType dtype) => to_type(dtype);

        public Tensor type_as(Tensor tensor) => to_type(tensor.dtype);

        public Tensor cpu() => to(CPU);

        public Tensor cuda(Device? device = null, bool non_blocking = false) => to(device ?? CUDA, non_blocking: non_blocking);

        public Tensor @bool() => to_type(ScalarType.Bool);
        public Tensor @byte() => to_type(ScalarType.Byte);
        public Tensor @char() => to_type(ScalarType.Int8);
        public Tensor @short() => to_type(ScalarType.Int16);
        public Tensor @int() => to_type(ScalarType.Int32);
        public Tensor @long() => to_type(ScalarType.Int64);
        public Tensor half() => to_type(ScalarType.Float16);
        public Tensor bfloat16() => to_type(ScalarType.BFloat16);
        public Tensor @float() => to_type(ScalarType.Float32);
        public Tensor @double() => to_type(ScalarType.Float64);

        public Tensor pin_memory() => Call("pin_memory", this);

        public Tensor clone() => Call("clone", this);

        public Tensor alias() => Call("alias", this);

        public Tensor copy_(Tensor source, bool nonBlocking = false) => CallInPlace("copy_", this, source, nonBlocking);

        public Tensor set_(Tensor source) => CallInPlace("set_.source_Tensor", this, source);

        public Tensor to_dense() => Call("to_dense", this);

        public override string ToString() => this.str();

        /// <summary>Makes this tensor what <paramref name="other"/> is, which becomes empty.</summary>
        internal void Become(Tensor other)
        {
            (handle, other.handle) = (other.Handle, Handle);
            other.Dispose();
        }

        /// <summary>A contiguous copy in CPU memory that belongs to no dispose scope.</summary>
        internal Tensor CpuCopy()
        {
            using var moved = detach().cpu();
            return moved.contiguous().DetachFromDisposeScope();
        }

        internal void RequireCpu()
        {
            if (!is_cpu()) throw new InvalidOperationException("The tensor is not in CPU memory: call cpu() before reading it.");
        }

        internal Native.TensorDescription Describe()
        {
            Native.TensorDescription description;
            Native.torch_tensor_describe(Handle, &description);
            GC.KeepAlive(this);
            return description;
        }

        /// <summary>The sizes or strides that the description points to, read while the tensor is alive.</summary>
        private long[] All(long* values, long count)
        {
            var all = new ReadOnlySpan<long>(values, (int)count).ToArray();
            GC.KeepAlive(this);
            return all;
        }

        private long One(long* values, long count, int index)
        {
            if (index < -count || index >= count)
                throw new IndexOutOfRangeException($"Dimension {index} of a tensor with {count} dimensions.");
            long one = values[index < 0 ? index + count : index];
            GC.KeepAlive(this);
            return one;
        }

        private static void Count()
        {
            long total = Interlocked.Increment(ref totalCount);
            if (total > peakCount) peakCount = total;
        }

        private Tensor Converted(Tensor converted, bool disposeAfter)
        {
            if (disposeAfter) Dispose();
            return converted;
        }
    }
}
