using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.AspNetCore.Http;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>What a user did with an item, as requests say it. What is null was left out.</summary>
internal sealed record EventMessage(int? Item, float? Action, long? Timestamp);

internal sealed record RankRequest(int? User, EventMessage[]? History, int[]? Candidates, long? Timestamp);

internal sealed record ExplainRequest(int? User, int? Candidate, long? Timestamp);

internal sealed record EventsRequest(int? User, EventMessage[]? Events);

internal sealed record RankedCandidate(int Item, float Score, float Probability);

internal sealed record RankAnswer(int? User, long Timestamp, RankedCandidate[] Candidates);

/// <param name="LeftOut">The user's oldest events, so many, are not among those that count.</param>
/// <param name="Attention">What the candidate attends to; null where the network is one without blocks of attention.</param>
internal sealed record ExplainAnswer(int User, long Timestamp, RankedCandidate Candidate, int LeftOut, AttentionMap? Attention);

internal sealed record EventsAnswer(int User, int Appended, int Events);

internal sealed record UserAnswer(int User, int Events, long? LastTimestamp);

internal sealed record UsersAnswer(int Count, UserAnswer[] Users);

internal sealed record EventAnswer(int Item, int? Category, float Action, bool Clicked, long Timestamp);

internal sealed record HistoryAnswer(int User, EventAnswer[] Events);

internal sealed record ItemAnswer(int Item, int? Category, long Shown);

/// <param name="Name">What the log is of.</param>
/// <param name="Actions">The actions that there are in the log.</param>
/// <param name="Items">Those that were shown most come first.</param>
internal sealed record ItemsAnswer(string Name, float[] Actions, ItemAnswer[] Items);

/// <summary>How much a request may ask for.</summary>
internal static class Limits
{
    public const int Candidates = 1_000, Events = 10_000, BodyBytes = 1 << 20;

    /// <summary>The last second of the year 9999; milliseconds, a common mistake, are beyond it.</summary>
    public const long Timestamp = 253_402_300_799;
}

/// <summary>A request that cannot be answered: becomes a ProblemDetails that names the field and what was expected.</summary>
internal sealed class RequestProblem(string? field, string detail, int status = StatusCodes.Status400BadRequest) : Exception(detail)
{
    public string? Field { get; } = field;

    public int Status { get; } = status;
}

/// <summary>Bodies of requests, read and checked.</summary>
internal static class RequestBody
{
    private static readonly JsonSerializerOptions s_json = new(JsonSerializerDefaults.Web)
    {
        // A misspelled field would silently be as one left out.
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        NumberHandling = JsonNumberHandling.Strict,
    };

    /// <exception cref="RequestProblem">The body is not JSON, or not such a one.</exception>
    public static async Task<T> ReadAsync<T>(HttpRequest request)
    {
        if (!request.HasJsonContentType())
            throw new RequestProblem("Content-Type", $"is '{request.ContentType}'; expected application/json", StatusCodes.Status415UnsupportedMediaType);
        try
        {
            return await JsonSerializer.DeserializeAsync<T>(request.Body, s_json, request.HttpContext.RequestAborted) ?? throw new JsonException("The body is null.");
        }
        catch (JsonException problem)
        {
            string field = problem.Path is null or "$" ? "body" : problem.Path.TrimStart('$', '.');
            string place = problem.LineNumber is { } line ? $" (line {line + 1}, byte {problem.BytePositionInLine + 1})" : "";
            throw new RequestProblem(field, $"is not what was expected: {Expected(typeof(T))}{place}");
        }
    }

    private static string Expected(Type request)
        => request == typeof(RankRequest)
            ? """{"user": 17 or "history": [{"item": 5, "action": 1, "timestamp": 1700000000}], "candidates": [5, 6], "timestamp": 1700000000 or none}"""
        : request == typeof(ExplainRequest) ? """{"user": 17, "candidate": 5, "timestamp": 1700000000 or none}"""
        : """{"user": 17, "events": [{"item": 5, "action": 1, "timestamp": 1700000000}]}""";

    public static int Required(int? value, string field) => value ?? throw new RequestProblem(field, "is missing; expected a whole number");

    public static int[] Candidates(int[]? items) => items switch
    {
        null => throw new RequestProblem("candidates", $"is missing; expected 1 to {Limits.Candidates:N0} ids of items"),
        { Length: 0 or > Limits.Candidates } => throw new RequestProblem("candidates", $"has {items.Length:N0} ids; expected 1 to {Limits.Candidates:N0} ids of items"),
        _ => items,
    };

    public static long? Time(long? time, string field) => time is null or (>= 0 and <= Limits.Timestamp)
        ? time
        : throw new RequestProblem(field, $"is {time}; expected Unix seconds, 0 to {Limits.Timestamp}");

    /// <summary>Checks all that can be said of events without a look at those before them.</summary>
    public static ClickEvent[] Events(EventMessage[]? messages, string field, Func<float, bool> isClick)
    {
        if (messages is null || messages.Length > Limits.Events)
            throw new RequestProblem(field, $"{(messages is null ? "is missing" : $"has {messages.Length:N0} events")}; expected at most {Limits.Events:N0} events");
        var events = new ClickEvent[messages.Length];
        for (int i = 0; i < events.Length; i++)
        {
            string place = $"{field}[{i}]";
            (int? item, float? action, long? time) = messages[i]
                ?? throw new RequestProblem(place, """is null; expected {"item": 5, "action": 1, "timestamp": 1700000000}""");
            if (action is null || !float.IsFinite(action.Value))
                throw new RequestProblem($"{place}.action", $"is {(action is null ? "missing" : "too large")}; expected a number");
            long seconds = Time(time, $"{place}.timestamp") ?? throw new RequestProblem($"{place}.timestamp", "is missing; expected Unix seconds");
            if (i > 0 && seconds < events[i - 1].Timestamp)
                throw new RequestProblem($"{place}.timestamp", $"is {seconds}; expected none before that of the event before it, {events[i - 1].Timestamp}");
            events[i] = new ClickEvent(Required(item, $"{place}.item"), action.Value, isClick(action.Value), seconds);
        }
        return events;
    }
}
