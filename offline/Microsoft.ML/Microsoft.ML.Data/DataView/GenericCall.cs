using System.Reflection;

namespace Microsoft.ML.Data;

/// <summary>The one way from a type that is known at run time to code that is generic in it.</summary>
internal static class GenericCall
{
    /// <summary>Calls a generic method, given with any type arguments, with <paramref name="typeArguments"/> instead.</summary>
    public static TResult Invoke<TResult>(Delegate method, Type[] typeArguments, params object[] args) =>
        (TResult)method.Method.GetGenericMethodDefinition().MakeGenericMethod(typeArguments)
            .Invoke(method.Target, BindingFlags.DoNotWrapExceptions, null, args, null);

    public static TResult Invoke<TResult>(Delegate method, Type typeArgument, params object[] args) =>
        Invoke<TResult>(method, [typeArgument], args);
}
