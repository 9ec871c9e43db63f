using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>Told of a condition on an option: whether it holds, of which option, what is expected, and the value. It throws where it does not hold.</summary>
internal delegate void Requirement(bool holds, string option, string expected, object? value);

internal static class Requirements
{
    public static void Between(this Requirement require, double value, double low, double high, string option)
        => require(value >= low && value <= high, option, FormattableString.Invariant($"{low:N0} to {high:N0}"), value);

    public static void Positive(this Requirement require, double value, string option)
        => require(double.IsFinite(value) && value > 0, option, "a positive number", value);

    public static void Fraction(this Requirement require, double value, string option) => require(value is >= 0 and < 1, option, "0 to below 1", value);

    public static void Defined<T>(this Requirement require, T value, string option) where T : struct, Enum
        => require(Enum.IsDefined(value), option, "one of its names", value);
}

/// <summary>Refuses options that are out of their range, in ML.NET's manner: the exception's parameter is the option.</summary>
/// <param name="context">Whose exceptions they are; null where there is no such one, as in a file that is read.</param>
internal readonly struct OptionCheck(IExceptionContext? context)
{
    private readonly IExceptionContext? _context = context;

    /// <exception cref="ArgumentOutOfRangeException">It does not hold.</exception>
    public void Require(bool holds, string option, string expected, object? value)
    {
        if (holds)
            return;
        var problem = new ArgumentOutOfRangeException(option, value, $"{option} must be {expected}.");
        throw _context?.Process(problem) ?? problem;
    }

    public void RequireName(string? name, string option) => Require(!string.IsNullOrEmpty(name), option, "a column name", name);
}
