using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Microsoft.ML.SparseCtr;

/// <summary>What RelTemporal sees of a moment, in the users' local time.</summary>
/// <param name="DayAngle">2π·hour/24, with hours as fractions.</param>
/// <param name="IsWeekend">Whether it is a Saturday or a Sunday.</param>
internal readonly record struct LocalTime(double DayAngle, bool IsWeekend)
{
    private const long SecondsPerDay = 24 * 60 * 60;

    public static LocalTime Of(long unixSeconds, SelfAttentionOptions options)
    {
        long local = unixSeconds + (long)Math.Round(options.UtcOffsetHours * 3600);
        // Day 0, 1970-01-01, was a Thursday: Saturday and Sunday are days 2 and 3 of the weeks that begin there.
        return new(2 * Math.PI * FloorMod(local, SecondsPerDay) / SecondsPerDay, FloorMod(local, 7 * SecondsPerDay) / SecondsPerDay is 2 or 3);
    }

    private static long FloorMod(long value, long divisor) => (value % divisor + divisor) % divisor;
}

/// <summary>
/// What RelTemporal sees of a pair of tokens: log(1 + Δt/τ), cos(2π(hour_i − hour_j)/24) and [weekend_i = weekend_j], with hours as
/// fractions and days in local time. It has no parameters, so a batch computes it once for all blocks and heads.
/// </summary>
internal sealed class RelTemporalFeatures
{
    private readonly Tensor _time;
    private readonly Tensor _dayAngle;
    private readonly Tensor _weekend;
    private readonly Tensor _isReal;
    private readonly double _timeScale;
    private readonly ScalarType _dtype;

    /// <param name="times">Unix seconds of every row of the key matrix.</param>
    /// <param name="zeroToken">The row of the zero token, which has no time: its features are zero.</param>
    /// <param name="options">The time scale τ and the UTC offset.</param>
    /// <param name="device">Where the tensors go.</param>
    /// <param name="dtype">Type of the features.</param>
    public RelTemporalFeatures(long[] times, int zeroToken, SelfAttentionOptions options, Device device, ScalarType dtype)
    {
        var dayAngle = new double[times.Length];
        var weekend = new bool[times.Length];
        var isReal = new bool[times.Length];
        for (int i = 0; i < times.Length; i++)
        {
            (dayAngle[i], weekend[i]) = LocalTime.Of(times[i], options);
            isReal[i] = i != zeroToken;
        }
        _time = tensor(times, device: device);
        _dayAngle = tensor(dayAngle, dtype, device);
        _weekend = tensor(weekend, device: device);
        _isReal = tensor(isReal, dtype, device);
        (_timeScale, _dtype) = (options.TimeScaleSeconds, dtype);
    }

    /// <summary>The features of all pairs of S queries and T keys in each of G groups: [G, 3, S·T].</summary>
    public Tensor Of(Tensor queryIndex, Tensor keyIndex, long groups, long queries, long keys)
    {
        using DisposeScope scope = NewDisposeScope();
        // Seconds are subtracted as integers: as floats they would round to minutes.
        Tensor elapsed = (Queries(_time) - Keys(_time)).abs().to(_dtype);
        Tensor log = (elapsed / _timeScale).log1p();
        Tensor hour = (Queries(_dayAngle) - Keys(_dayAngle)).cos();
        Tensor weekend = Queries(_weekend).eq(Keys(_weekend)).to(_dtype);
        Tensor features = stack([log, hour, weekend], 1) * Keys(_isReal).unsqueeze(1);
        return features.reshape(groups, 3, queries * keys).MoveToOuterDisposeScope();

        Tensor Queries(Tensor values) => values.index_select(0, queryIndex).reshape(groups, queries, 1);
        Tensor Keys(Tensor values) => values.index_select(0, keyIndex).reshape(groups, 1, keys);
    }
}

/// <summary>
/// The composite relative temporal encoding (SparseCTR, arXiv:2601.17836): a bias on the logit of query i and key j,
/// −a_h·log(1 + Δt_ij/τ) + b_h·cos(2π(hour_i − hour_j)/24) + c_h·[weekend_i = weekend_j], with a, b and c learned per head.
/// </summary>
internal sealed class RelTemporal : nn.Module<Tensor, Tensor>
{
    public const string CoefficientsName = nameof(coefficients);

    // TorchSharp moves a parameter to another device or type by putting the new one into the field of its name.
    private Parameter coefficients;
    private readonly TemporalTerms _terms;

    public RelTemporal(int heads, TemporalTerms terms = TemporalTerms.All) : base(nameof(RelTemporal))
    {
        _terms = terms;
        // Rows are heads, columns −a, b and c. At first the heads forget at different speeds, from not at all to 1/Δt.
        Tensor initial = zeros(heads, 3);
        for (int head = 1; head < heads; head++)
            initial[head, 0] = tensor(-head / (heads - 1f));
        coefficients = new Parameter(initial);
        register_parameter(CoefficientsName, coefficients);
    }

    /// <summary>[H, 3]: −a, b and c of each head; zero for a term that is left out.</summary>
    public Tensor Coefficients()
    {
        if (_terms == TemporalTerms.All)
            return coefficients;
        float[] isThere = [Is(TemporalTerms.Elapsed), Is(TemporalTerms.Hour), Is(TemporalTerms.Weekend)];
        return coefficients * tensor(isThere, coefficients.dtype, coefficients.device);

        float Is(TemporalTerms term) => _terms.HasFlag(term) ? 1 : 0;
    }

    /// <param name="features">[G, 3, S·T] as <see cref="RelTemporalFeatures"/> gives them.</param>
    /// <returns>[G, H, S·T].</returns>
    public override Tensor forward(Tensor features)
        => Coefficients().unsqueeze(0).expand(features.shape[0], -1, -1).bmm(features);
}
