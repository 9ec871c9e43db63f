using System.Runtime.InteropServices;
using System.Text;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>That kernels run on the emulated GPU as they do on a real one, and that it finds what a real one would punish.</summary>
public sealed unsafe class EmulatorTests : IDisposable
{
    private const int Block = 128;

    private readonly float[] _values = Enumerable.Range(0, 3 * Block).Select(i => (float)(i * 7 % 31)).ToArray();
    private readonly GCHandle _pinnedValues, _pinnedSums;
    private readonly float[] _sums = new float[8];
    private readonly Emulator _gpu = new();

    public EmulatorTests()
    {
        _pinnedValues = GCHandle.Alloc(_values, GCHandleType.Pinned);
        _pinnedSums = GCHandle.Alloc(_sums, GCHandleType.Pinned);
    }

    public void Dispose()
    {
        _pinnedValues.Free();
        _pinnedSums.Free();
        _gpu.Dispose();
    }

    // --- kernels run ---

    [SkippableTheory]
    [InlineData(false)]
    [InlineData(true)]
    public void Shared_memory_and_barriers_sum_each_block(bool reverse)
    {
        Succeeds("""
            __shared__ float sums[THREADS];
            sums[threadIdx.x] = p.values[blockIdx.x * blockDim.x + threadIdx.x];
            for (int half = THREADS / 2; half > 0; half /= 2) {
                __syncthreads();
                if (threadIdx.x < half) sums[threadIdx.x] += sums[threadIdx.x + half];
            }
            if (threadIdx.x == 0) p.sums[blockIdx.x] = sums[0];
            """, grid: 3, reverse: reverse);
        Assert.Equal(_values.Chunk(Block).Select(block => block.Sum()), _sums[..3]);
    }

    [SkippableTheory]
    [InlineData("for (int i = 16; i > 0; i /= 2) value += __shfl_xor_sync(0xffffffff, value, i);")]
    [InlineData("for (int i = 16; i > 0; i /= 2) value += __shfl_down_sync(0xffffffff, value, i); value = __shfl_sync(0xffffffff, value, 0);")]
    [InlineData("for (int i = 1; i < 32; i *= 2) { double up = __shfl_up_sync(~0u, (double)value, i); if (lane >= i) value += up; } value = __shfl_sync(~0u, value, 31);")]
    public void Lanes_of_a_warp_sum_by_shuffles(string shuffles)
    {
        Succeeds($$"""
            const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
            float value = p.values[threadIdx.x];
            {{shuffles}}
            if (lane == warp) p.sums[warp] = value;
            """);
        Assert.Equal(_values[..Block].Chunk(32).Select(warp => warp.Sum()), _sums[..4]);
    }

    [SkippableFact]
    public void Parts_of_a_warp_shuffle_and_vote_for_themselves()
    {
        Succeeds("""
            const int lane = threadIdx.x % 32, half = lane / 16;
            if (half == 0) {
                const int sum = __shfl_xor_sync(0x0000ffff, lane, 15, 16) + lane;
                if (__all_sync(0x0000ffff, sum == 15)) p.sums[0] = 1;
            } else {
                if (__any_sync(0xffff0000, lane == 20) && !__any_sync(0xffff0000, lane == 3)) p.sums[1] = __popc(__ballot_sync(0xffff0000, lane > 20));
            }
            __syncwarp();
            const int large = __syncthreads_count(threadIdx.x >= 100);
            if (__syncthreads_or(threadIdx.x == 77) && !__syncthreads_and(threadIdx.x != 77)) p.sums[2] = large;
            """);
        Assert.Equal([1, 11, Block - 100], _sums[..3]);
    }

    [SkippableFact]
    public void Dynamic_shared_memory_has_the_size_of_the_launch()
    {
        Succeeds("""
            extern __shared__ float4 rows[];
            for (int i = threadIdx.x; i < 4096; i += THREADS) rows[i] = make_float4(i, 0, 0, p.values[1]);
            __syncthreads();
            if (threadIdx.x == 0) p.sums[0] = rows[4095].x + rows[1].w;
            """, sharedBytes: 64 << 10);
        Assert.Equal(4095 + _values[1], _sums[0]);
    }

    [SkippableFact]
    public void Atomics_of_all_threads_add_up()
    {
        Succeeds("""
            atomicAdd(&p.sums[0], p.values[blockIdx.x * blockDim.x + threadIdx.x]);
            int* highest = (int*)&p.sums[1];
            atomicMax(highest, (int)threadIdx.x);
            atomicCAS((unsigned*)&p.sums[2], 0u, __float_as_uint(5.0f));
            """, grid: 3);
        Assert.Equal(_values.Sum(), _sums[0]);
        Assert.Equal(Block - 1, BitConverter.SingleToInt32Bits(_sums[1]));
        Assert.Equal(5, _sums[2]);
    }

    [SkippableFact]
    public void Launches_are_counted()
    {
        long before = _gpu.Launches();
        Succeeds("p.sums[0] = 1;");
        Assert.Equal(before + 1, _gpu.Launches());
    }

    // --- and are found out ---

    [SkippableFact]
    public void A_missing_barrier_shows_in_one_of_the_orders()
    {
        const string body = """
            __shared__ float copies[THREADS];
            copies[threadIdx.x] = p.values[threadIdx.x];
            if (threadIdx.x < 8) p.sums[threadIdx.x] = copies[threadIdx.x + 8];
            """;
        Succeeds(body);
        Assert.All(_sums, one => Assert.Equal(float.NaN, one));
        Succeeds(body, reverse: true);
        Assert.Equal(_values[8..16], _sums);
    }

    [SkippableTheory]
    [InlineData("if (threadIdx.x < 100) __syncthreads();", "28 of 128, from (100, 0, 0) on, have ended; 100 of 128, from (0, 0, 0) on, wait in __syncthreads at test.cu:4")]
    [InlineData("if (threadIdx.x < 64) __syncthreads(); else\n__syncthreads();", "64 of 128, from (64, 0, 0) on, wait in __syncthreads at test.cu:5")]
    [InlineData("if (threadIdx.x != 5) __syncwarp();", "31 of 128, from (0, 0, 0) on, wait in __syncwarp at test.cu:4 for the lanes 0xffffffff")]
    [InlineData("__syncwarp(1u);", "test.cu:4: the mask of __syncwarp does not name the calling lane (thread (1, 0, 0))")]
    [InlineData("if (threadIdx.x < 4) p.sums[0] = __shfl_sync(0x0000000fu, 1, 4);", "test.cu:4: the mask of __shfl_sync does not name the lane that is read (thread (0, 0, 0))")]
    [InlineData("extern __shared__ int counts[]; counts[threadIdx.x + 1] = 0;", "a thread wrote behind the 512 bytes of dynamic shared memory")]
    [InlineData("__shared__ int counts[THREADS]; counts[threadIdx.x + 1] = 0;", "test.cu:4: index 128 is outside the array (thread (127, 0, 0))")]
    [InlineData("p.sums[0] = *(const float*)(p.values - p.values);", "test.cu:4: null pointer to 'const float' (thread (0, 0, 0))")]
    [InlineData("p.sums[0] = ((const float4*)(p.values + 1))->x;", "test.cu:4: unaligned access to 'const struct float4' (thread (0, 0, 0))")]
    public void What_a_kernel_does_wrong_is_told(string body, string message)
        => Assert.Contains(message, Assert.Throws<EmulatorException>(() => Launch(body, sharedBytes: 512)).Message);

    [SkippableTheory]
    [InlineData(0, 128, 0, "a grid of 0 by 1 by 1 blocks")]
    [InlineData(1, 1025, 0, "a block of 1025 by 1 by 1 threads")]
    [InlineData(1, 160, 0, "160 threads; __launch_bounds__ allows 128")]
    [InlineData(1, 128, 200 << 10, "a block cannot have 204800 bytes of dynamic shared memory")]
    public void A_launch_that_asks_for_too_much_is_refused(int grid, int block, int sharedBytes, string message)
        => Assert.Contains(message, Assert.Throws<EmulatorException>(() => Launch("p.sums[0] = 1;", grid, block, sharedBytes)).Message);

    [SkippableTheory]
    [InlineData("p.sums[0] = 1;", (48 << 10) + 1, "49153 bytes of dynamic shared memory; allowed are 49152")]
    [InlineData("__shared__ float declared[256]; declared[threadIdx.x] = p.values[0]; __syncthreads(); p.sums[0] = declared[1];", (47 << 10) + 1, "48129 bytes of dynamic shared memory; allowed are 48128")]
    public void Shared_memory_beyond_48_KB_must_be_asked_for_with_what_the_kernel_declares(string body, int sharedBytes, string message)
    {
        nint function = _gpu.Compile(Source(body));
        var refused = Assert.Throws<EmulatorException>(() => _gpu.Launch(function, 1, Block, sharedBytes, Parameters));
        Assert.Contains(message, refused.Message);
    }

    [SkippableFact]
    public void The_compilers_log_names_the_line_of_an_error()
        => Assert.Contains("test.cu:4:1: error: ", Assert.Throws<EmulatorException>(() => Launch("undeclared();")).Message);

    private void Succeeds(string body, int grid = 1, int sharedBytes = 0, bool reverse = false)
    {
        _gpu.ReverseThreads(reverse);
        Launch(body, grid, sharedBytes: sharedBytes);
    }

    private void Launch(string body, int grid = 1, int block = Block, int sharedBytes = 0)
    {
        nint function = _gpu.Compile(Source(body));
        _gpu.AllowSharedBytes(function, sharedBytes);
        _gpu.Launch(function, grid, block, sharedBytes, Parameters);
    }

    private KernelParameters Parameters => new() { Values = (float*)_pinnedValues.AddrOfPinnedObject(), Sums = (float*)_pinnedSums.AddrOfPinnedObject() };

    private static string Source(string body) => $$"""
        struct Parameters { const float* values; float* sums; };
        KERNEL(test, Parameters)
        {
        {{body}}
        }
        """;

    private struct KernelParameters
    {
        public float* Values, Sums;
    }

    private sealed class EmulatorException(string message) : Exception(message);

    /// <summary>The calls, in the order in which CUDA wants them.</summary>
    private sealed class Emulator : IDisposable
    {
        private readonly nint _library = NativeLibrary.Load(EmulatedGpu.Library);
        private readonly List<nint> _modules = [];

        public Emulator()
        {
            nint context;
            Check(((delegate* unmanaged<uint, int>)Function("cuInit"))(0));
            Check(((delegate* unmanaged<nint*, int, int>)Function("cuDevicePrimaryCtxRetain"))(&context, 0));
            Check(((delegate* unmanaged<nint, int>)Function("cuCtxPushCurrent_v2"))(context));
        }

        public void Dispose()
        {
            ReverseThreads(false);
            foreach (nint module in _modules)
                Check(((delegate* unmanaged<nint, int>)Function("cuModuleUnload"))(module));
            Check(((delegate* unmanaged<nint*, int>)Function("cuCtxPopCurrent_v2"))(null));
        }

        public nint Compile(string source)
        {
            nint program, module, function;
            fixed (byte* text = Text(source), name = Text("test.cu"), kernel = Text("test"), threads = Text($"-DTHREADS={Block}"), architecture = Text("--gpu-architecture=sm_80"))
            {
                byte*[] options = [threads, architecture];
                ((delegate* unmanaged<nint*, byte*, byte*, int, nint, nint, int>)Function("nvrtcCreateProgram"))(&program, text, name, 0, 0, 0);
                fixed (byte** first = options)
                {
                    if (((delegate* unmanaged<nint, int, byte**, int>)Function("nvrtcCompileProgram"))(program, options.Length, first) != 0)
                        throw new EmulatorException(Encoding.UTF8.GetString(Bytes(program, "nvrtcGetProgramLog")));
                }
                fixed (byte* cubin = Bytes(program, "nvrtcGetCUBIN"))
                    Check(((delegate* unmanaged<nint*, byte*, int>)Function("cuModuleLoadData"))(&module, cubin));
                ((delegate* unmanaged<nint*, int>)Function("nvrtcDestroyProgram"))(&program);
                _modules.Add(module);
                Check(((delegate* unmanaged<nint*, nint, byte*, int>)Function("cuModuleGetFunction"))(&function, module, kernel));
                return function;
            }
        }

        public void AllowSharedBytes(nint function, int bytes) => Check(((delegate* unmanaged<nint, int, int, int>)Function("cuFuncSetAttribute"))(function, 8, bytes));

        public void Launch(nint function, int grid, int block, int sharedBytes, KernelParameters parameters)
        {
            void* first = &parameters;
            Check(((delegate* unmanaged<nint, int, int, int, int, int, int, int, nint, void**, void**, int>)Function("cuLaunchKernel"))(
                function, grid, 1, 1, block, 1, 1, sharedBytes, 0, &first, null));
        }

        public void ReverseThreads(bool reverse) => ((delegate* unmanaged<int, void>)Function("emulator_reverse_threads"))(reverse ? 1 : 0);

        public long Launches() => ((delegate* unmanaged<long>)Function("emulator_launches"))();

        private void Check(int result)
        {
            byte* text;
            if (result != 0)
            {
                ((delegate* unmanaged<int, byte**, int>)Function("cuGetErrorString"))(result, &text);
                throw new EmulatorException(Marshal.PtrToStringUTF8((nint)text)!);
            }
        }

        private byte[] Bytes(nint program, string function)
        {
            nint count;
            ((delegate* unmanaged<nint, nint*, int>)Function(function + "Size"))(program, &count);
            byte[] bytes = new byte[count];
            fixed (byte* first = bytes)
                ((delegate* unmanaged<nint, byte*, int>)Function(function))(program, first);
            return bytes;
        }

        private nint Function(string name) => NativeLibrary.GetExport(_library, name);

        private static byte[] Text(string text) => Encoding.UTF8.GetBytes(text + '\0');
    }
}
