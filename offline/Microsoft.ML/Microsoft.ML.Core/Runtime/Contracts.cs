namespace Microsoft.ML.Runtime;

/// <summary>Checks, and the exceptions that their failures are. With a context, it is told of the exception first.</summary>
internal static class Contracts
{
    /// <summary>Under which a marked exception has its context among its data.</summary>
    public const string ContextKey = "Context";

    private static TException Process<TException>(TException exception, IExceptionContext context) where TException : Exception =>
        context is null ? exception : context.Process(exception);

    private static string Format(string message, object[] args) => args.Length == 0 ? message : string.Format(message, args);

    public static Exception Except(this IExceptionContext ctx, string msg) => Process(new InvalidOperationException(msg), ctx);

    public static Exception Except(this IExceptionContext ctx, Exception inner, string msg) =>
        Process(new InvalidOperationException(msg, inner), ctx);

    /// <summary>Whether an exception has been attributed to a context.</summary>
    public static bool IsMarked(this Exception exception) => exception.Data.Contains(ContextKey);

    public static Exception ExceptParam(this IExceptionContext ctx, string paramName, string msg) =>
        Process(new ArgumentException(msg, paramName), ctx);

    public static Exception ExceptUserArg(this IExceptionContext ctx, string paramName, string msg) =>
        Process(new ArgumentOutOfRangeException(paramName, msg), ctx);

    public static Exception ExceptNotSupp(this IExceptionContext ctx, string msg) => Process(new NotSupportedException(msg), ctx);

    public static Exception ExceptDecode(string msg, params object[] args) => ExceptDecode(null, msg, args);

    public static Exception ExceptDecode(this IExceptionContext ctx, string msg, params object[] args) =>
        Process(new FormatException(Format(msg, args)), ctx);

    public static Exception ExceptDecode(this IExceptionContext ctx, Exception inner, string msg, params object[] args) =>
        Process(new FormatException(Format(msg, args), inner), ctx);

    public static Exception ExceptSchemaMismatch(string paramName, string columnRole, string columnName) =>
        ExceptSchemaMismatch(null, paramName, columnRole, columnName);

    public static Exception ExceptSchemaMismatch(this IExceptionContext ctx, string paramName, string columnRole, string columnName) =>
        Process(new ArgumentOutOfRangeException(paramName, $"Could not find {columnRole} column '{columnName}'"), ctx);

    public static Exception ExceptSchemaMismatch(string paramName, string columnRole, string columnName, string expectedType,
        string actualType) =>
        ExceptSchemaMismatch(null, paramName, columnRole, columnName, expectedType, actualType);

    public static Exception ExceptSchemaMismatch(this IExceptionContext ctx, string paramName, string columnRole, string columnName,
        string expectedType, string actualType) =>
        Process(new ArgumentOutOfRangeException(paramName,
            $"Schema mismatch for {columnRole} column '{columnName}': expected {expectedType}, got {actualType}"), ctx);

    public static void CheckValue<T>(this IExceptionContext ctx, T value, string paramName) where T : class
    {
        if (value is null)
            throw Process(new ArgumentNullException(paramName), ctx);
    }

    public static void CheckNonEmpty(this IExceptionContext ctx, string value, string paramName)
    {
        if (string.IsNullOrEmpty(value))
            throw ctx.ExceptParam(paramName, "Must not be null or empty");
    }

    public static void CheckUserArg(this IExceptionContext ctx, bool condition, string paramName, string msg)
    {
        if (!condition)
            throw ctx.ExceptUserArg(paramName, msg);
    }

    public static void CheckDecode(this IExceptionContext ctx, bool condition, string msg)
    {
        if (!condition)
            throw ctx.ExceptDecode(msg);
    }

    /// <summary>Throws once the environment, or one that it was registered in, has been canceled.</summary>
    public static void CheckAlive(this IHostEnvironment env)
    {
        if (env is ICancelable { IsCanceled: true })
            throw Process(new OperationCanceledException("Operation was canceled."), env);
    }
}
