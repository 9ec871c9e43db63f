// The thread's gradient and dispose modes; the process's threads, random numbers, default element type and CUDA devices.
namespace TorchSharp;

public static partial class torch
{
    public static DisposeScope? CurrentDisposeScope => DisposeScopeManager.OfThread.Current;

    public static DisposeScope NewDisposeScope() => DisposeScopeManager.OfThread.NewScope();

    public static Tensor WrappedTensorDisposeScope(Func<Tensor> expr)
    {
        using var scope = NewDisposeScope();
        return scope.MoveToOuter(expr());
    }

    public static IDisposable no_grad() => new GradMode(false);

    public static IDisposable enable_grad(bool enabled = true) => new GradMode(enabled);

    public static IDisposable set_grad_enabled(bool mode = true) => new GradMode(mode);

    public static IDisposable inference_mode(bool mode = true) => new InferenceMode(mode);

    public static bool is_grad_enabled() => Native.torch_is_grad_enabled() != 0;

    public static bool is_inference_mode_enabled() => Native.torch_is_inference_mode_enabled() != 0;

    public static int get_num_threads() => (int)CallLong("shim::get_num_threads");

    public static void set_num_threads(int num) => CallVoid("shim::set_num_threads", num);

    public static int get_num_interop_threads() => (int)CallLong("shim::get_num_interop_threads");

    public static void set_num_interop_threads(int num) => CallVoid("shim::set_num_interop_threads", num);

    public static ScalarType get_default_dtype() => (ScalarType)CallLong("shim::get_default_dtype");

    public static void set_default_dtype(ScalarType dtype) => CallVoid("shim::set_default_dtype", dtype);

    /// <summary>Seeds the generators of the CPU and of every CUDA device.</summary>
    public static Generator manual_seed(long seed)
    {
        CallVoid("shim::cuda_manual_seed_all", seed);
        return Generator.Default.manual_seed(seed);
    }

    public static long initial_seed() => Generator.Default.initial_seed();

    public static Tensor get_rng_state() => Generator.Default.get_state();

    public static void set_rng_state(Tensor new_state) => Generator.Default.set_state(new_state);

    public static bool cuda_is_available() => cuda.is_available();

    public static class random
    {
        public static Generator manual_seed(long seed) => torch.manual_seed(seed);

        public static long initial_seed() => torch.initial_seed();

        public static Tensor get_rng_state() => torch.get_rng_state();

        public static void set_rng_state(Tensor new_state) => torch.set_rng_state(new_state);
    }

    public static class cuda
    {
        public static int device_count() => (int)CallLong("shim::cuda_device_count");

        public static bool is_available() => device_count() > 0;

        public static void manual_seed(long seed) => manual_seed_all(seed);

        public static void manual_seed_all(long seed) => CallVoid("shim::cuda_manual_seed_all", seed);

        public static void synchronize(Device? device = null) => CallVoid("shim::cuda_synchronize", device?.index ?? -1);
    }

    public static class backends
    {
        public static class cuda
        {
            public static class matmul
            {
                public static bool allow_tf32
                {
                    get => CallLong("shim::get_allow_tf32") != 0;
                    set => CallVoid("shim::set_allow_tf32", value);
                }
            }
        }
    }

    /// <summary>A source of random numbers on the CPU.</summary>
    public class Generator : IDisposable
    {
        private nint handle;

        public Generator(ulong seed = 0, Device? device = null) : this(CallGenerator("shim::new_generator", (long)seed))
        {
            if (device is not null && device.type != DeviceType.CPU) throw new NotSupportedException($"A generator on {device}.");
        }

        private Generator(nint handle) => this.handle = handle;

        ~Generator() => Dispose(false);

        public static Generator Default { get; } = new(CallGenerator("shim::default_generator"));

        public Device device => CPU;

        public nint Handle => handle != 0 ? handle : throw new ObjectDisposedException(nameof(Generator));

        public Generator manual_seed(long seed)
        {
            CallVoid("shim::set_seed", this, seed);
            return this;
        }

        public long initial_seed() => CallLong("shim::initial_seed", this);

        public Tensor get_state() => Call("shim::get_state", this);

        public void set_state(Tensor value) => CallVoid("shim::set_state", this, value);

        public void Dispose()
        {
            Dispose(true);
            GC.SuppressFinalize(this);
        }

        protected virtual void Dispose(bool disposing)
        {
            nint released = Interlocked.Exchange(ref handle, 0);
            if (released != 0) Native.torch_generator_free(released);
        }
    }

    /// <summary>Whether the thread records gradients, until disposed.</summary>
    private sealed class GradMode : IDisposable
    {
        private readonly byte before = Native.torch_is_grad_enabled();

        public GradMode(bool enabled) => Native.torch_set_grad_enabled(enabled ? (byte)1 : (byte)0);

        public void Dispose() => Native.torch_set_grad_enabled(before);
    }

    private sealed class InferenceMode(bool enabled) : IDisposable
    {
        private nint mode = Native.torch_enter_inference_mode(enabled ? (byte)1 : (byte)0);

        public void Dispose()
        {
            if (mode != 0) Native.torch_leave_inference_mode(mode);
            mode = 0;
        }
    }
}
