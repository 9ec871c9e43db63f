// Adagrad: steps scaled by the sum of the squared gradients.
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp
{
    public static partial class torch
    {
        public static partial class optim
        {
            public static Adagrad Adagrad(IEnumerable<Parameter> parameters, double lr = 0.01, double lr_decay = 0,
                double weight_decay = 0, double initial_accumulator_value = 0, double eps = 1e-10) =>
                new(parameters, lr, lr_decay, weight_decay, initial_accumulator_value, eps);

            public static Adagrad Adagrad(IEnumerable<(string name, Parameter parameter)> parameters, double lr = 0.01,
                double lr_decay = 0, double weight_decay = 0, double initial_accumulator_value = 0, double eps = 1e-10) =>
                new(parameters.Select(item => item.parameter), lr, lr_decay, weight_decay, initial_accumulator_value, eps);

            public static Adagrad Adagrad(IEnumerable<Adagrad.ParamGroup> parameters, double lr = 0.01, double lr_decay = 0,
                double weight_decay = 0, double initial_accumulator_value = 0, double eps = 1e-10) =>
                new(parameters, lr, lr_decay, weight_decay, initial_accumulator_value, eps);
        }
    }
}

namespace TorchSharp.Modules
{
    public class Adagrad : OptimizerHelper
    {
        private readonly Options defaults;

        public Adagrad(IEnumerable<Parameter> parameters, double lr = 0.01, double lr_decay = 0, double weight_decay = 0,
            double initial_accumulator_value = 0, double eps = 1e-10)
            : this([new ParamGroup(parameters, new Options())], lr, lr_decay, weight_decay, initial_accumulator_value, eps)
        {
        }

        public Adagrad(IEnumerable<ParamGroup> parameters, double lr = 0.01, double lr_decay = 0, double weight_decay = 0,
            double initial_accumulator_value = 0, double eps = 1e-10)
        {
            defaults = new Options(lr, lr_decay, weight_decay, initial_accumulator_value, eps);
            foreach (var group in parameters) add_param_group(group);
        }

        /// <summary>What the group leaves open is as given to the optimizer.</summary>
        public override void add_param_group(Modules.ParamGroup param_group)
        {
            var options = ((ParamGroup)param_group).Options;
            options.LearningRate ??= defaults.LearningRate;
            options.InitialLearningRate = param_group.LearningRate;
            options.lr_decay ??= defaults.lr_decay;
            options.weight_decay ??= defaults.weight_decay;
            options.initial_accumulator_value ??= defaults.initial_accumulator_value;
            options.eps ??= defaults.eps;
            base.add_param_group(param_group);
        }

        private protected override void Update(Modules.ParamGroup group)
        {
            var options = ((ParamGroup)group).Options;
            var batch = Advance(group, slots: 1, options.initial_accumulator_value ?? 0);
            CallVoid("shim::adagrad_step", batch.Parameters, batch.Slot(0), batch.Steps, options.LearningRate, options.lr_decay,
                options.weight_decay, options.eps);
        }

        public class Options : OptimizerOptions
        {
            public double? lr_decay;
            public double? weight_decay;
            public double? initial_accumulator_value;
            public double? eps;

            public Options()
            {
            }

            internal Options(double lr, double lr_decay, double weight_decay, double initial_accumulator_value, double eps)
            {
                LearningRate = InitialLearningRate = lr;
                this.lr_decay = lr_decay;
                this.weight_decay = weight_decay;
                this.initial_accumulator_value = initial_accumulator_value;
                this.eps = eps;
            }
        }

        public class ParamGroup : ParamGroup<Options>
        {
            public ParamGroup()
            {
            }

            public ParamGroup(IEnumerable<Parameter> parameters, Options options) : base(parameters, options)
            {
            }

            public ParamGroup(IEnumerable<Parameter> parameters, double lr = 0.01, double lr_decay = 0, double weight_decay = 0,
                double initial_accumulator_value = 0, double eps = 1e-10)
                : base(parameters, new Options(lr, lr_decay, weight_decay, initial_accumulator_value, eps))
            {
            }
        }
    }
}
