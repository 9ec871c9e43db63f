using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;

namespace SparseCtr.Samples;

/// <param name="ModelPath">The .zip that the demo has written.</param>
/// <param name="Host">The address to listen at.</param>
/// <param name="Port">The port; 0 takes one that is free.</param>
/// <param name="CacheBytes">Memory for users' states.</param>
internal sealed record ServiceOptions(string ModelPath, IPAddress Host, int Port, long CacheBytes);

/// <summary>The service over HTTP: routes, limits, problems and metrics.</summary>
internal sealed class WebService : IAsyncDisposable
{
    private readonly WebApplication _app;

    private WebService(WebApplication app) => _app = app;

    /// <summary>Where it is, such as http://127.0.0.1:8080.</summary>
    public string Address => _app.Urls.First();

    /// <exception cref="IOException">The model cannot be read, or the port is taken.</exception>
    /// <exception cref="FormatException">The model is not one of the demo's.</exception>
    /// <exception cref="ArgumentException">The model is not one of a trainer of this library.</exception>
    public static async Task<WebService> StartAsync(ClickData data, ServiceOptions options)
    {
        var store = new ClickStore(data);
        // The folder that the process is started in has no say in how it runs.
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder(new WebApplicationOptions { ContentRootPath = AppContext.BaseDirectory });
        builder.Logging.SetMinimumLevel(LogLevel.Warning);
        builder.WebHost.ConfigureKestrel(kestrel =>
        {
            kestrel.Listen(options.Host, options.Port);
            kestrel.AddServerHeader = false;
            kestrel.Limits.MaxRequestBodySize = Limits.BodyBytes;
        });
        builder.Services.AddProblemDetails();
        builder.Services.AddSingleton(services => new ModelFile(options.ModelPath, store, options.CacheBytes, services.GetRequiredService<ILogger<ModelFile>>()));
        builder.Services.AddHostedService(services => services.GetRequiredService<ModelFile>());

        WebApplication app = builder.Build();
        ModelFile model = app.Services.GetRequiredService<ModelFile>();
        var metrics = new ServiceMetrics();
        app.Use((context, next) => AnswerAsync(context, next, metrics, app.Logger));
        app.UseStatusCodePages();
        Map(app, new RankingService(store, model), model, metrics);
        await app.StartAsync();
        return new WebService(app);
    }

    /// <summary>Ends with SIGTERM or Ctrl+C, when the requests under way have been answered.</summary>
    public Task WaitForShutdownAsync() => _app.WaitForShutdownAsync();

    public async ValueTask DisposeAsync()
    {
        await _app.StopAsync();
        await _app.DisposeAsync();
    }

    private static void Map(WebApplication app, RankingService service, ModelFile model, ServiceMetrics metrics)
    {
        byte[] page = Page();
        app.MapGet("/", () => Results.Bytes(page, "text/html; charset=utf-8"));
        app.MapPost("/rank", async (HttpRequest request) => service.Rank(await RequestBody.ReadAsync<RankRequest>(request)));
        app.MapPost("/events", async (HttpRequest request) => service.Append(await RequestBody.ReadAsync<EventsRequest>(request)));
        app.MapPost("/explain", async (HttpRequest request) => service.Explain(await RequestBody.ReadAsync<ExplainRequest>(request)));
        app.MapPost("/reload", () => model.Reload()
            ? Results.Json(Health(model))
            : throw new RequestProblem(null, model.Problem!, StatusCodes.Status500InternalServerError));
        app.MapGet("/users", service.Users);
        app.MapGet("/users/{id:int}", service.History);
        app.MapGet("/items", service.Items);
        app.MapGet("/health", () => Health(model));
        app.MapGet("/metrics", () => Results.Text(metrics.Write(model), "text/plain; version=0.0.4; charset=utf-8"));
    }

    /// <summary>An old model that goes on is no reason to end the process: the status stays 200, and the text says what is wrong.</summary>
    private static object Health(ModelFile model) => new
    {
        Status = model.Problem is null ? "ok" : "degraded",
        model.Problem,
        Model = model.Path,
        ModelFileTime = model.Current.FileTime,
        model.Reloads,
    };

    private static byte[] Page()
    {
        using Stream stream = typeof(WebService).Assembly.GetManifestResourceStream("Page.html")!;
        var page = new byte[stream.Length];
        stream.ReadExactly(page);
        return page;
    }

    /// <summary>Lets the others answer, makes a ProblemDetails of what they throw, and counts.</summary>
    private static async Task AnswerAsync(HttpContext context, RequestDelegate next, ServiceMetrics metrics, ILogger logger)
    {
        long start = Stopwatch.GetTimestamp();
        try
        {
            await next(context);
        }
        catch (Exception) when (context.RequestAborted.IsCancellationRequested)
        {
            context.Response.StatusCode = StatusCodes.Status499ClientClosedRequest;
        }
        catch (Exception problem) when (!context.Response.HasStarted)
        {
            (string? field, string detail, int status) = problem switch
            {
                RequestProblem request => (request.Field, request.Message, request.Status),
                BadHttpRequestException { StatusCode: StatusCodes.Status413PayloadTooLarge and var tooLarge }
                    => ("body", $"is too large; expected at most {Limits.BodyBytes:N0} bytes", tooLarge),
                BadHttpRequestException request => (null, request.Message, request.StatusCode),
                _ => (null, "Something went wrong here; the log says what.", StatusCodes.Status500InternalServerError),
            };
            if (problem is not (RequestProblem or BadHttpRequestException))
                logger.LogError(problem, "{Method} {Path}", context.Request.Method, context.Request.Path);
            await (field is null
                ? Results.Problem(detail, statusCode: status)
                : Results.Problem($"{field} {detail}.", statusCode: status, extensions: new Dictionary<string, object?> { ["field"] = field })).ExecuteAsync(context);
        }
        metrics.Add((context.GetEndpoint() as RouteEndpoint)?.RoutePattern.RawText ?? "other", context.Response.StatusCode, Stopwatch.GetElapsedTime(start));
    }
}
