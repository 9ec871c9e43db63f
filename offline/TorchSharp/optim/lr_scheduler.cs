// torch.optim.lr_scheduler: learning rates as functions of the step.
namespace TorchSharp;

public static partial class torch
{
    public static partial class optim
    {
        public static class lr_scheduler
        {
            /// <summary>The initial learning rate of each group times <paramref name="lr_lambda"/> of the step, from step 0 on.</summary>
            public static LRScheduler LambdaLR(Optimizer optimizer, Func<int, double> lr_lambda, int last_epoch = -1,
                bool verbose = false) =>
                new Lambda(optimizer, lr_lambda, last_epoch, verbose);

            public abstract class LRScheduler
            {
                private readonly List<ILearningRateController> groups;
                private readonly bool verbose;
                private int epoch;

                protected LRScheduler(Optimizer optimizer, int last_epoch = -1, bool verbose = false)
                {
                    (groups, epoch, this.verbose) = (optimizer.ParamGroups.ToList(), last_epoch, verbose);
                    if (last_epoch == -1) groups.ForEach(group => group.InitialLearningRate = group.LearningRate);
                }

                /// <summary>How often the schedule has advanced.</summary>
                internal int Epoch => epoch;

                internal IEnumerable<double> InitialRates => groups.Select(group => group.InitialLearningRate);

                public virtual void step()
                {
                    epoch++;
                    foreach (var (group, rate) in groups.Zip(get_lr().ToList())) group.LearningRate = rate;
                    if (verbose) Console.WriteLine($"Adjusting learning rate to {string.Join(", ", get_last_lr())}.");
                }

                public IEnumerable<double> get_last_lr() => groups.Select(group => group.LearningRate).ToList();

                protected virtual IEnumerable<double> get_lr() => get_last_lr();
            }

            private sealed class Lambda : LRScheduler
            {
                private readonly Func<int, double> factor;

                public Lambda(Optimizer optimizer, Func<int, double> factor, int last_epoch, bool verbose)
                    : base(optimizer, last_epoch, verbose)
                {
                    this.factor = factor;
                    step();
                }

                protected override IEnumerable<double> get_lr() => InitialRates.Select(rate => rate * factor(Epoch));
            }
        }
    }
}
