using System.Reflection;
using Microsoft.ML.AutoML;
using Microsoft.ML.SearchSpace;
using Microsoft.ML.SearchSpace.Option;

namespace Microsoft.ML.SparseCtr;

/// <summary>Makes trainers into what AutoML sweeps.</summary>
internal static class Sweep
{
    private static readonly string[] s_quick
        = [nameof(CtrTrainerOptions.LearningRate), nameof(CtrTrainerOptions.Dropout), nameof(CtrTrainerOptions.ItemDropout)];

    private static readonly string[] s_standard =
    [
        .. s_quick, nameof(CtrTrainerOptions.EmbeddingDimension), nameof(CtrTrainerOptions.ModelDimension), nameof(CtrTrainerOptions.WeightDecay),
        nameof(CtrTrainerOptions.BatchSize), nameof(SelfAttentionOptions.NumberOfBlocks), nameof(SparseCtrTrainer.Options.NumberOfChunks),
        nameof(SparseCtrTrainer.Options.LocalWindow), nameof(EtaTrainer.Options.RetrievedBehaviors),
    ];

    /// <summary>The trial whose trainers are made meanwhile: AutoML makes them, and knows nothing of it.</summary>
    private static readonly AsyncLocal<RunningTrial?> s_trial = new();

    /// <summary>Makes a pipeline whose trainers are those of a trial.</summary>
    public static T For<T>(RunningTrial trial, Func<T> make)
    {
        s_trial.Value = trial;
        T made = make();
        s_trial.Value = null;
        return made;
    }

    /// <param name="options">What is not searched.</param>
    /// <param name="size">What is.</param>
    /// <param name="trainer">Makes the trainer in a trial's context.</param>
    public static SweepableEstimator Of<TOptions>(TOptions options, SweepSize size, Func<MLContext, TOptions, CtrTrainer> trainer) where TOptions : CtrTrainerOptions, new()
    {
        var space = new SearchSpace.SearchSpace();
        foreach ((string name, OptionBase option) in (IEnumerable<KeyValuePair<string, OptionBase>>)new SearchSpace<TOptions>())
        {
            if (IsSearched(name, size))
                space.Add(name, option);
        }
        return new SweepableEstimator(Trainer, space);

        CtrTrainer Trainer(MLContext context, Parameter parameters)
        {
            TOptions changed = With(options, parameters);
            // One file for trials that AutoML makes by itself would be found by others than the one that wrote it.
            changed.CheckpointPath = s_trial.Value?.NextCheckpointPath();
            CtrTrainer made = trainer(context, changed);
            made.Trial = s_trial.Value;
            return made;
        }
    }

    private static bool IsSearched(string name, SweepSize size) => size switch
    {
        SweepSize.Quick => s_quick.Contains(name),
        SweepSize.Standard => s_standard.Contains(name),
        SweepSize.Thorough => true,
        _ => throw new ArgumentOutOfRangeException(nameof(size), size, "Expected one of its names."),
    };

    /// <summary>The options with a trial's values. (SearchSpace&lt;T&gt; would not keep all of the values that are not searched.)</summary>
    private static TOptions With<TOptions>(TOptions options, Parameter parameters) where TOptions : CtrTrainerOptions
    {
        TOptions changed = options with { };
        foreach ((string name, Parameter value) in (IEnumerable<KeyValuePair<string, Parameter>>)parameters)
        {
            PropertyInfo option = typeof(TOptions).GetProperty(name)!;
            option.SetValue(changed, ValueOf(value, option.PropertyType));
        }
        return changed;
    }

    private static object ValueOf(Parameter value, Type type) => type.IsEnum ? Enum.Parse(type, value.AsType<string>())
        : type == typeof(int) ? value.AsType<int>()
        : (object)value.AsType<double>();
}
