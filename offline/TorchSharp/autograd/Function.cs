// Operators whose forward and backward are C# code: SingleTensorFunction, MultiTensorFunction and their context.
using System.Runtime.InteropServices;
using System.Text;

namespace TorchSharp;

public static partial class torch
{
    public static partial class autograd
    {
        /// <summary>What a forward leaves for its backward.</summary>
        public class AutogradContext : IDisposable
        {
            private readonly Dictionary<string, object> values = [];

            internal AutogradContext()
            {
            }

            public bool MaterializeGrads { get; private set; } = true;

            internal List<Tensor> Saved { get; private set; } = [];

            internal List<Tensor> Dirty { get; private set; } = [];

            internal List<Tensor> NonDifferentiable { get; private set; } = [];

            /// <summary>The node of the graph, while its backward runs.</summary>
            internal nint Node { get; set; }

            public void save_for_backward(List<Tensor> tensors) => Saved = tensors;

            public void mark_dirty(List<Tensor> tensors) => Dirty = tensors;

            public void mark_non_differentiable(List<Tensor> tensors) => NonDifferentiable = tensors;

            public void set_materialize_grads(bool value) => MaterializeGrads = value;

            public void save_data(string key, object value) => values[key] = value;

            public object? get_data(string key) => values.GetValueOrDefault(key);

            public unsafe List<Tensor> get_saved_variables()
            {
                NativeValue* saved;
                int count = Native.Check(Native.torch_saved_tensors(Node, &saved));
                return [.. ToTensors(new ReadOnlySpan<NativeValue>(saved, count))];
            }

            /// <summary>The graph keeps the saved tensors from here on.</summary>
            internal void Forget() => Saved = Dirty = NonDifferentiable = [];

            public void Dispose()
            {
                Dispose(true);
                GC.SuppressFinalize(this);
            }

            protected virtual void Dispose(bool disposing)
            {
            }
        }

#nullable disable annotations // arguments may be null, and so are the gradients of those that need none
        public abstract class Function<T> where T : Function<T>, new()
        {
            private static readonly T Instance = new();

            public abstract string Name { get; }

            internal abstract List<Tensor> Forward(AutogradContext context, object[] vars);

            internal abstract List<Tensor> Backward(AutogradContext context, List<Tensor> gradients);

            /// <summary>Runs the forward without gradients, then records it in the graph if an input requires one.</summary>
            public static List<Tensor> apply_internal(params object[] vars)
            {
                var context = new AutogradContext();
                List<Tensor> outputs;
                using (no_grad()) outputs = Instance.Forward(context, vars);
                if (!is_grad_enabled() || !vars.OfType<Tensor>().Any(tensor => tensor.requires_grad)) return outputs;
                return Recording.Record(Instance.Name, gradients => Instance.Backward(context, gradients), context, vars, outputs);
            }
        }

        public abstract class SingleTensorFunction<T> : Function<T> where T : SingleTensorFunction<T>, new()
        {
            public static Tensor apply(params object[] vars) => apply_internal(vars)[0];

            public abstract Tensor forward(AutogradContext ctx, params object[] vars);

            public abstract List<Tensor> backward(AutogradContext ctx, Tensor grad_output);

            internal sealed override List<Tensor> Forward(AutogradContext context, object[] vars) => [forward(context, vars)];

            internal sealed override List<Tensor> Backward(AutogradContext context, List<Tensor> gradients) =>
                backward(context, gradients[0]);
        }

        public abstract class MultiTensorFunction<T> : Function<T> where T : MultiTensorFunction<T>, new()
        {
            public static List<Tensor> apply(params object[] vars) => apply_internal(vars);

            public abstract List<Tensor> forward(AutogradContext ctx, params object[] vars);

            public abstract List<Tensor> backward(AutogradContext ctx, List<Tensor> grad_outputs);

            internal sealed override List<Tensor> Forward(AutogradContext context, object[] vars) => forward(context, vars);

            internal sealed override List<Tensor> Backward(AutogradContext context, List<Tensor> gradients) => backward(context, gradients);
        }

#nullable restore annotations
        /// <summary>One recorded forward; the native node of the graph keeps it alive and calls it back.</summary>
        private sealed unsafe class Recording
        {
            private readonly Func<List<Tensor>, List<Tensor>> backward;
            private readonly AutogradContext context;

            /// <summary>For each gradient that backward returns (one for each argument of the forward): is the argument a tensor?</summary>
            private readonly bool[] isTensor;

            private Recording(Func<List<Tensor>, List<Tensor>> backward, AutogradContext context, bool[] isTensor) =>
                (this.backward, this.context, this.isTensor) = (backward, context, isTensor);

            public static List<Tensor> Record(string name, Func<List<Tensor>, List<Tensor>> backward, AutogradContext context,
                object[] vars, List<Tensor> outputs)
            {
                var inputs = vars.OfType<Tensor>().ToArray();
                // An output that is an input itself would otherwise become its own predecessor in the graph.
                for (int i = 0; i < outputs.Count; i++)
                {
                    var output = outputs[i];
                    bool isDirty = context.Dirty.Any(tensor => ReferenceEquals(tensor, output));
                    if (!isDirty && inputs.Any(input => input.Handle == output.Handle)) outputs[i] = output.detach();
                }
                var recording = new Recording(backward, context, Array.ConvertAll(vars, static value => value is Tensor));
                fixed (byte* text = Encoding.UTF8.GetBytes(name + '\0'))
                fixed (nint* ins = Handles(inputs), outs = Handles(outputs), dirty = Handles(context.Dirty),
                    constant = Handles(context.NonDifferentiable), saved = Handles(context.Saved))
                {
                    var call = new Native.FunctionCall
                    {
                        Name = text,
                        Context = GCHandle.ToIntPtr(GCHandle.Alloc(recording)),
                        Backward = &Backward,
                        Release = &Release,
                        MaterializeGrads = context.MaterializeGrads ? (byte)1 : (byte)0,
                        Inputs = Value(ins, inputs.Length),
                        Outputs = Value(outs, outputs.Count),
                        Dirty = Value(dirty, context.Dirty.Count),
                        NonDifferentiable = Value(constant, context.NonDifferentiable.Count),
                        Saved = Value(saved, context.Saved.Count),
                    };
                    Native.Check(Native.torch_record_function(&call));
                }
                GC.KeepAlive(vars);
                GC.KeepAlive(context);
                context.Forget();
                return outputs;
            }

            private static nint[] Handles(IList<Tensor> tensors) => tensors.Select(static tensor => tensor.Handle).ToArray();

            private static NativeValue Value(nint* handles, int count) =>
                new() { Kind = NativeValueKind.TensorList, Length = count, Bits = (nint)handles };

            [UnmanagedCallersOnly]
            private static int Backward(nint recording, nint node, NativeValue* gradients, int count, nint* results, int edges, nint error)
            {
                try
                {
                    ((Recording)GCHandle.FromIntPtr(recording).Target!).Run(node, new(gradients, count), new(results, edges));
                    return 0;
                }
                catch (Exception exception)
                {
                    Native.torch_set_error(error, exception.ToString());
                    return -1;
                }
            }

            [UnmanagedCallersOnly]
            private static void Release(nint recording) => GCHandle.FromIntPtr(recording).Free();

            /// <summary>No dispose scope is opened here, as little as in the real one: what the backward makes is its own to free.</summary>
            private void Run(nint node, ReadOnlySpan<NativeValue> gradients, Span<nint> results)
            {
                context.Node = node;
                var returned = backward([.. ToTensors(gradients)]);
                if (returned.Count != isTensor.Length)
                {
                    throw new InvalidOperationException(
                        $"backward returned {returned.Count} gradients for {isTensor.Length} arguments of forward");
                }
                for (int i = 0, edge = 0; i < isTensor.Length; i++)
                {
                    if (isTensor[i]) results[edge++] = returned[i] is { } gradient ? Native.torch_tensor_share(gradient.Handle) : 0;
                }
            }
        }
    }
}
