// What all optimizers share: parameter groups with their options, and the state of each parameter.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class optim
        {
            public interface ILearningRateController
            {
                double LearningRate { get; set; }

                double InitialLearningRate { get; set; }
            }

            public interface IMomentum
            {
                double Momentum { get; set; }
            }

            public interface IBetas
            {
                (double, double) Betas { get; set; }
            }

            public abstract class Optimizer : IDisposable
            {
                private readonly Dictionary<Parameter, State> states = new(ReferenceEqualityComparer.Instance);

                protected IList<ParamGroup> _parameter_groups = new List<ParamGroup>();

                /// <summary>The handle is the real package's; it means nothing here.</summary>
                protected Optimizer(nint handle)
                {
                }

                ~Optimizer() => Dispose(false);

                public virtual IEnumerable<ILearningRateController> ParamGroups => _parameter_groups;

                public virtual IEnumerable<Parameter> parameters() => _parameter_groups.SelectMany(group => group.Parameters);

                public virtual void add_param_group(ParamGroup param_group) => _parameter_groups.Add(param_group);

                public virtual void zero_grad() => CallVoid("shim::zero_grad", parameters().ToArray<Tensor>());

                /// <summary>Updates the parameters that have gradients. The closure, if any, computes the loss to return.</summary>
                public virtual Tensor? step(Func<Tensor>? closure = null)
                {
                    Tensor? loss = null;
                    if (closure is not null)
                    {
                        using var _ = enable_grad();
                        loss = closure();
                    }
                    foreach (var group in _parameter_groups) Update(group);
                    return loss;
                }

                private protected virtual void Update(ParamGroup group) => throw new NotImplementedException();

                /// <summary>
                /// The parameters of a group that have gradients, each with its state: one step more, and tensors of its shape.
                /// </summary>
                private protected Batch Advance(ParamGroup group, int slots, double initial = 0)
                {
                    var parameters = group.Parameters.Where(parameter => parameter.Describe().HasGrad != 0).ToArray();
                    return new(parameters, Array.ConvertAll(parameters, parameter =>
                    {
                        if (!states.TryGetValue(parameter, out var state)) states.Add(parameter, state = new());
                        state.Steps++;
                        while (state.Slots.Count < slots) state.Slots.Add(full_like(parameter, initial).DetachFromDisposeScope());
                        return state;
                    }));
                }

                public void Dispose()
                {
                    Dispose(true);
                    GC.SuppressFinalize(this);
                }

                protected virtual void Dispose(bool disposing)
                {
                    if (!disposing) return;
                    foreach (var state in states.Values) state.Slots.ForEach(slot => slot.Dispose());
                    states.Clear();
                }

                private protected sealed class State
                {
                    public long Steps;
                    public readonly List<Tensor> Slots = [];
                }

                private protected readonly struct Batch(Parameter[] parameters, State[] states)
                {
                    public Parameter[] Parameters => parameters;

                    public long[] Steps => Array.ConvertAll(states, state => state.Steps);

                    public Tensor[] Slot(int index) => Array.ConvertAll(states, state => state.Slots[index]);
                }
            }
        }
    }
}

namespace TorchSharp.Modules
{
    public class OptimizerOptions
    {
        public double? LearningRate { get; set; }

        public double InitialLearningRate { get; set; }
    }

    public class ParamGroup : optim.ILearningRateController
    {
        public IEnumerable<Parameter> Parameters { get; set; } = [];

        public OptimizerOptions Options { get; set; } = new();

        public double LearningRate
        {
            get => Options.LearningRate ?? throw new InvalidOperationException("The parameter group has no learning rate.");
            set => Options.LearningRate = value;
        }

        public double InitialLearningRate
        {
            get => Options.InitialLearningRate;
            set => Options.InitialLearningRate = value;
        }
    }

    public class ParamGroup<TOptions> : ParamGroup where TOptions : OptimizerOptions, new()
    {
        public ParamGroup()
        {
        }

        public ParamGroup(IEnumerable<Parameter> parameters, TOptions? options = null) =>
            (Parameters, base.Options) = (parameters.ToList(), options ?? new());

        public new TOptions Options
        {
            get => (TOptions)base.Options;
            set => base.Options = value;
        }
    }

    /// <summary>The base of the optimizers here, as in the real package.</summary>
    public abstract class OptimizerHelper : optim.Optimizer
    {
        public OptimizerHelper() : base(0)
        {
        }
    }
}
