using System.Globalization;
using System.Numerics;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Conversions of single values between the primitive types.</summary>
internal static class Conversions
{
    /// <summary>The function from one raw type to another, or null if values of the one do not convert to the other.</summary>
    public static Delegate GetOrNull(Type source, Type result) => GenericCall.Invoke<Delegate>(GetOrNull<int, int>, [source, result]);

    public static Func<TSource, TResult> GetOrNull<TSource, TResult>()
    {
        object conversion = (default(TSource), default(TResult)) switch
        {
            _ when typeof(TSource) == typeof(TResult) => (TSource value) => value,
            (ReadOnlyMemory<char>, not DataViewRowId) => MakeParse<TResult>(),
            (bool, _) => Through<bool, byte, TResult>(value => value ? (byte)1 : (byte)0),
            (_, ReadOnlyMemory<char>) => (TSource value) => string.Format(CultureInfo.InvariantCulture, "{0}", value).AsMemory(),
            (DateTime, not DateTimeOffset) => Through<DateTime, long, TResult>(value => value.Ticks),
            (DateTimeOffset, not DateTime) => Through<DateTimeOffset, long, TResult>(value => value.UtcTicks),
            (TimeSpan, _) => Through<TimeSpan, long, TResult>(value => value.Ticks),
            (double, bool) => (double value) => value != 0 && !double.IsNaN(value),
            (_, bool) => GetOrNull<TSource, double>() is { } toDouble ? Through<TSource, double, TResult>(toDouble) : null,
            _ when IsNumber(typeof(TSource)) && IsNumber(typeof(TResult)) =>
                GenericCall.Invoke<Delegate>(MakeCast<int, int>, [typeof(TSource), typeof(TResult)]),
            _ => null,
        };
        return (Func<TSource, TResult>)conversion;
    }

    private static Func<TSource, TResult> Through<TSource, TMiddle, TResult>(Func<TSource, TMiddle> first) =>
        GetOrNull<TMiddle, TResult>() is { } second ? value => second(first(value)) : null;

    private static Func<TSource, TResult> MakeCast<TSource, TResult>()
        where TSource : INumberBase<TSource>
        where TResult : INumberBase<TResult> =>
        TResult.CreateTruncating;

    private static bool IsNumber(Type type) => PrimitiveTypes.FromClrTypeOrNull(type) is NumberDataViewType;

    /// <summary>Text that is not a real number is the missing one; text that is not a value of another type is an error.</summary>
    private static Func<ReadOnlyMemory<char>, T> MakeParse<T>()
    {
        var tryParse = TextParsers.Get<T>();
        return text => tryParse(text.Span, out T value) || value is float.NaN or double.NaN
            ? value
            : throw Contracts.Except(null, $"Value '{text}' could not be parsed from text to {typeof(T).Name}.");
    }
}
