using Microsoft.ML.Runtime;

namespace Microsoft.ML.SparseCtr;

/// <summary>Refuses options that are out of their range, in ML.NET's manner: the exception's parameter is the option.</summary>
/// <param name="context">Whose exceptions they are; null where there is no such one, as in a file that is read.</param>
internal readonly struct OptionCheck(IExceptionContext? context)
{
    /// <exception cref="ArgumentOutOfRangeException">It does not hold.</exception>
    public void Require(bool holds, string option, string expected, object? value)
    {
        if (holds)
            return;
        var problem = new ArgumentOutOfRangeException(option, value, $"{option} must be {expected}.");
        throw context?.Process(problem) ?? problem;
    }

    public void RequireName(string? name, string option) => Require(!string.IsNullOrEmpty(name), option, "a column name", name);
}
