using System.Globalization;
using System.Numerics;
using Microsoft.ML.Runtime;

namespace Microsoft.ML.Data;

/// <summary>Reads values from text; the result is whether the text could be read. Empty text is the default value.</summary>
internal delegate bool TextParser<T>(ReadOnlySpan<char> text, out T value);

internal static class TextParsers
{
    public static TextParser<T> Get<T>() => (TextParser<T>)(default(T) switch
    {
        sbyte => Number<sbyte>(NumberStyles.Integer),
        byte => Number<byte>(NumberStyles.Integer),
        short => Number<short>(NumberStyles.Integer),
        ushort => Number<ushort>(NumberStyles.Integer),
        int => Number<int>(NumberStyles.Integer),
        uint => Number<uint>(NumberStyles.Integer),
        long => Number<long>(NumberStyles.Integer),
        ulong => Number<ulong>(NumberStyles.Integer),
        float => Number<float>(NumberStyles.Float, missing: float.NaN),
        double => Number<double>(NumberStyles.Float, missing: double.NaN),
        bool => new TextParser<bool>(TryParseBoolean),
        DateTime => Parsable<DateTime>(),
        DateTimeOffset => Parsable<DateTimeOffset>(),
        TimeSpan => Parsable<TimeSpan>(),
        _ => (object)null,
    } ?? throw Contracts.ExceptNotSupp(null, $"Values of type {typeof(T)} cannot be read from text."));

    /// <summary>Numbers. A question mark is the missing value of those types that have one.</summary>
    private static TextParser<T> Number<T>(NumberStyles styles, T? missing = null) where T : struct, INumberBase<T> =>
        (ReadOnlySpan<char> text, out T value) =>
        {
            value = default;
            text = text.Trim();
            if (text.IsEmpty || T.TryParse(text, styles, CultureInfo.InvariantCulture, out value))
                return true;
            value = missing ?? default;
            return missing is not null && text is "?";
        };

    private static TextParser<T> Parsable<T>() where T : ISpanParsable<T> => (ReadOnlySpan<char> text, out T value) =>
    {
        value = default;
        return text.IsWhiteSpace() || T.TryParse(text, CultureInfo.InvariantCulture, out value);
    };

    private static bool TryParseBoolean(ReadOnlySpan<char> text, out bool value)
    {
        Span<char> lower = stackalloc char[5];
        text = text.Trim();
        value = false;
        if (text.Length > lower.Length)
            return false;
        text.ToLowerInvariant(lower);
        switch (lower[..text.Length])
        {
            case "1" or "true" or "t" or "yes" or "y" or "+1" or "+":
                value = true;
                return true;
            case "" or "0" or "false" or "f" or "no" or "n" or "-1" or "-":
                return true;
            default:
                return false;
        }
    }
}
