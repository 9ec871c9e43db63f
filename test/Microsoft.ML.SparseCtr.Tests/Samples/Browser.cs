using System.Diagnostics;
using System.Net.Http.Json;
using System.Net.WebSockets;
using System.Text.Json;
using System.Text.Json.Nodes;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A headless Chromium with one page, in which scripts can be run.</summary>
internal sealed class Browser : IAsyncDisposable
{
    private static readonly string[] s_names = ["chromium", "chromium-browser", "google-chrome"];

    private static readonly TimeSpan s_patience = TimeSpan.FromSeconds(60);

    private readonly Process _process;
    private readonly ClientWebSocket _page = new();
    private int _calls;

    private Browser(Process process) => _process = process;

    /// <summary>Where the browser is; a test that asks for it is skipped where there is none.</summary>
    public static string Path()
    {
        string? browser = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(System.IO.Path.PathSeparator)
            .SelectMany(folder => s_names.Select(name => System.IO.Path.Combine(folder, name))).FirstOrDefault(File.Exists);
        Skip.If(browser is null, $"none of {string.Join(", ", s_names)} is on the PATH");
        return browser;
    }

    /// <param name="profile">A folder of its own.</param>
    /// <param name="arguments">More of what the command line says.</param>
    public static string[] Arguments(string profile, params string[] arguments)
        => ["--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", $"--user-data-dir={profile}", .. arguments];

    /// <param name="address">What to show.</param>
    /// <param name="profile">A folder of its own.</param>
    /// <param name="size">Width and height in pixels, such as "390,800".</param>
    public static async Task<Browser> OpenAsync(string address, string profile, string size)
    {
        string[] arguments = Arguments(profile, "--remote-debugging-port=0", $"--window-size={size}", address);
        var browser = new Browser(Process.Start(new ProcessStartInfo(Path(), arguments) { RedirectStandardOutput = true, RedirectStandardError = true })!);
        const string listening = "DevTools listening on ws://";
        string? line;
        do
            line = await browser._process.StandardError.ReadLineAsync() ?? throw new EndOfStreamException("The browser ended at once.");
        while (!line.StartsWith(listening, StringComparison.Ordinal));
        // What nobody reads would one day stop who writes it.
        _ = browser._process.StandardError.ReadToEndAsync();
        _ = browser._process.StandardOutput.ReadToEndAsync();
        using var http = new HttpClient();
        // It listens before it shows the page, and has pages of its own.
        JsonNode? page;
        var clock = Stopwatch.StartNew();
        do
            page = (await http.GetFromJsonAsync<JsonArray>($"http://{line[listening.Length..].Split('/')[0]}/json/list"))!.FirstOrDefault(one => (string)one!["url"]! == address);
        while (page is null && clock.Elapsed < s_patience);
        Assert.NotNull(page);
        await browser._page.ConnectAsync(new Uri((string)page["webSocketDebuggerUrl"]!), CancellationToken.None);
        return browser;
    }

    /// <summary>The value of an expression of JavaScript; null where the page went away meanwhile, as when it is being loaded.</summary>
    public async Task<JsonNode?> EvaluateAsync(string expression)
    {
        int call = ++_calls;
        await _page.SendAsync(JsonSerializer.SerializeToUtf8Bytes(new
        {
            id = call,
            method = "Runtime.evaluate",
            @params = new { expression, returnByValue = true, awaitPromise = true },
        }), WebSocketMessageType.Text, true, CancellationToken.None);
        while (true)
        {
            JsonNode answer = JsonNode.Parse(await ReceiveAsync())!;
            if ((int?)answer["id"] != call)
                continue;
            Assert.True(answer["result"]?["exceptionDetails"] is null, $"{expression}: {answer["result"]?["exceptionDetails"]?.ToJsonString()}");
            return answer["result"]?["result"]?["value"];
        }
    }

    /// <summary>Waits until an expression is true.</summary>
    public async Task WaitAsync(string expression)
    {
        var clock = Stopwatch.StartNew();
        while (await EvaluateAsync($"Boolean({expression})") is not JsonValue value || !(bool)value)
        {
            if (clock.Elapsed > s_patience)
                Assert.Fail($"{expression} did not come true; the page says: {await EvaluateAsync("document.body?.innerText")}");
            await Task.Delay(20);
        }
    }

    private async Task<byte[]> ReceiveAsync()
    {
        var message = new MemoryStream();
        var buffer = new byte[1 << 16];
        WebSocketReceiveResult part;
        do
        {
            part = await _page.ReceiveAsync(buffer, CancellationToken.None);
            message.Write(buffer, 0, part.Count);
        }
        while (!part.EndOfMessage);
        return message.ToArray();
    }

    public async ValueTask DisposeAsync()
    {
        _page.Dispose();
        _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
    }
}
