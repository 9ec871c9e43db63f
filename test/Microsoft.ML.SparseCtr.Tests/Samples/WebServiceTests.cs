using System.Collections.Concurrent;
using System.Diagnostics;
using System.Globalization;
using System.Net;
using System.Net.Http.Json;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using SparseCtr.Samples;
using LogRow = SparseCtr.Samples.Impression;

namespace Microsoft.ML.SparseCtr.Tests;

public sealed class WebServiceTests(ServedClicks clicks) : IClassFixture<ServedClicks>, IAsyncLifetime
{
    private static readonly int[] s_items = [0, 1, 2, 3, 4, 5, 16, 27];

    private WebService _service = null!;
    private HttpClient _client = null!;
    private string _modelPath = "";

    public async Task InitializeAsync() => (_service, _client, _modelPath) = await clicks.StartAsync();

    public async Task DisposeAsync()
    {
        _client.Dispose();
        await _service.DisposeAsync();
    }

    // --- scores ---

    [Fact]
    public async Task Rows_of_the_log_get_the_scores_that_the_pipeline_gives_them()
    {
        LogRow[] rows = clicks.Data.Rows.Where((_, i) => i % 20 == 0).ToArray();
        float[] expected = clicks.Scores(clicks.Load(), rows);
        foreach ((LogRow row, float score) in rows.Zip(expected))
            Assert.Equal(score, (await RankAsync(row.User, [row.Item], row.Timestamp))[row.Item], 1e-5);
    }

    [Fact]
    public async Task Posted_events_count_as_those_appended_to_the_pipeline()
    {
        const int known = 3, unknown = 1_000_000;
        ITransformer model = clicks.Load();
        long time = clicks.Data.Rows[^1].Timestamp;
        // Often enough that the window of events that count moves on twice.
        for (int round = 0; round < 12; round++)
        {
            time += 1_000;
            foreach (int user in new[] { known, unknown })
            {
                LogRow[] events = Enumerable.Range(0, 5).Select(i => clicks.Row(user, s_items[(round + i) % s_items.Length], time + i / 2, action: i % 2)).ToArray();
                model.AppendEvents(clicks.MLContext.Data.LoadFromEnumerable(events));
                await PostAsync("/events", new { user, events = events.Select(one => new { one.Item, one.Action, one.Timestamp }) });
                await AssertScoresAsync(user, time + 100);
            }
        }

        async Task AssertScoresAsync(int user, long now)
        {
            float[] expected = clicks.Scores(model, s_items.Select(item => clicks.Row(user, item, now)));
            Dictionary<int, float> actual = await RankAsync(user, s_items, now);
            Assert.All(s_items.Zip(expected), one => Assert.Equal(one.Second, actual[one.First], 1e-5));
        }
    }

    [Fact]
    public async Task Candidates_are_ordered_and_explained()
    {
        JsonNode ranked = await PostAsync("/rank", new { user = 5, candidates = s_items });
        float[] scores = ranked["candidates"]!.AsArray().Select(one => (float)one!["score"]!).ToArray();
        Assert.Equal(scores.OrderDescending(), scores);

        JsonNode best = ranked["candidates"]![0]!;
        JsonNode explained = await PostAsync("/explain", new { user = 5, candidate = (int)best["item"]!, timestamp = (long)ranked["timestamp"]! });
        Assert.Equal((float)best["score"]!, (float)explained["candidate"]!["score"]!, 1e-6);
        int events = (await GetAsync("/users/5"))["events"]!.AsArray().Count, leftOut = (int)explained["leftOut"]!;
        Assert.InRange(events - leftOut, 1, ServedClicks.HistoryLength);
        Assert.Equal(events - leftOut, explained["attention"]!["local"]!.AsArray().Count);
        Assert.Equal(events - leftOut, explained["attention"]!["chunks"]!.AsArray().Sum(chunk => (int)chunk!["count"]!));
    }

    [Fact]
    public async Task A_history_in_a_request_is_scored_as_a_user_with_it_and_not_kept()
    {
        long time = clicks.Data.Rows[^1].Timestamp + 1;
        JsonNode users = await GetAsync("/users");
        Assert.Equal(await RankAsync(7, s_items, time), await RankHistoryOfAsync(7, time));
        Assert.Equal(users.ToJsonString(), (await GetAsync("/users")).ToJsonString());
        // Nor are unknown users.
        Assert.Equal(s_items.Order(), (await RankAsync(123_456, s_items, time)).Keys.Order());
        Assert.Equal(users.ToJsonString(), (await GetAsync("/users")).ToJsonString());
    }

    // --- bad input ---

    [Theory]
    [InlineData("/rank", "no json", "body", "expected")]
    [InlineData("/rank", "null", "body", "expected")]
    [InlineData("/rank", """{"candidates": [1]}""", "user", "expected one of them")]
    [InlineData("/rank", """{"user": 1, "history": [], "candidates": [1]}""", "user", "expected one of them")]
    [InlineData("/rank", """{"user": 1}""", "candidates", "expected 1 to 1,000 ids")]
    [InlineData("/rank", """{"user": 1, "candidates": []}""", "candidates", "expected 1 to 1,000 ids")]
    [InlineData("/rank", """{"user": 1, "candidates": [1, 2.5]}""", "candidates[1]", "expected")]
    [InlineData("/rank", """{"user": 1, "candidates": [1], "when": 5}""", "when", "expected")]
    [InlineData("/rank", """{"user": 1, "candidates": [1], "timestamp": -1}""", "timestamp", "expected Unix seconds")]
    [InlineData("/rank", """{"user": 1, "candidates": [1], "timestamp": 1700000000000}""", "timestamp", "expected Unix seconds")]
    [InlineData("/rank", """{"history": [{"item": 1, "action": NaN, "timestamp": 1}], "candidates": [1]}""", "history[0].action", "expected")]
    [InlineData("/rank", """{"history": [{"item": 1, "action": 1, "timestamp": -1}], "candidates": [1]}""", "history[0].timestamp", "expected Unix seconds")]
    [InlineData("/events", """{"events": []}""", "user", "expected a whole number")]
    [InlineData("/events", """{"user": 1}""", "events", "expected at most 10,000 events")]
    [InlineData("/events", """{"user": 1, "events": [null]}""", "events[0]", "expected")]
    [InlineData("/events", """{"user": 1, "events": [{"item": 1, "timestamp": 5}]}""", "events[0].action", "expected a number")]
    [InlineData("/events", """{"user": 1, "events": [{"item": 1, "action": 1e99, "timestamp": 5}]}""", "events[0].action", "expected a number")]
    [InlineData("/events", """{"user": 1, "events": [{"item": 1, "action": 1, "timestamp": 5}]}""", "events[0].timestamp", "expected none before the user's latest event")]
    [InlineData("/events", """{"user": 77, "events": [{"item": 1, "action": 1, "timestamp": 5}, {"item": 1, "action": 1, "timestamp": 4}]}""", "events[1].timestamp", "expected none before")]
    [InlineData("/explain", """{"user": 1}""", "candidate", "expected a whole number")]
    public async Task A_bad_request_is_told_the_field_and_what_was_expected(string route, string body, string field, string expected)
        => await AssertProblemAsync(HttpStatusCode.BadRequest, route, Json(body), field, expected);

    [Fact]
    public async Task Too_much_at_once_is_refused()
    {
        await AssertProblemAsync(HttpStatusCode.BadRequest, "/rank", JsonContent.Create(new { user = 1, candidates = new int[1_001] }), "candidates", "1 to 1,000 ids");
        string events = string.Join(",", Enumerable.Repeat("""{"item":1,"action":1,"timestamp":9}""", 10_001));
        await AssertProblemAsync(HttpStatusCode.BadRequest, "/events", Json($$"""{"user":88,"events":[{{events}}]}"""), "events", "at most 10,000");
        // The service does not read what is too long: a client that does not ask first may be cut off while it writes.
        _client.DefaultRequestHeaders.ExpectContinue = true;
        await AssertProblemAsync(HttpStatusCode.RequestEntityTooLarge, "/rank", Json(new string(' ', 1 << 21)), "body", "at most 1,048,576 bytes");
        await AssertProblemAsync(HttpStatusCode.UnsupportedMediaType, "/rank", new StringContent("{}"), "Content-Type", "expected application/json");
        Assert.Equal(HttpStatusCode.NotFound, (await _client.GetAsync("/nothing")).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await _client.GetAsync("/rank")).StatusCode);
        Assert.Contains("""sparsectr_requests_total{route="/rank",status="413"} 1""", await _client.GetStringAsync("/metrics"));
    }

    // --- under load ---

    [Fact]
    public async Task Parallel_clients_with_few_states_kept_leave_every_user_with_the_scores_of_a_fresh_history()
    {
        (WebService service, HttpClient client, _) = await clicks.StartAsync(cacheBytes: 150_000);
        await using WebService own = service;
        _client.Dispose();
        _client = client;
        long start = clicks.Data.Rows[^1].Timestamp + 1, time = start;
        const int users = 8;
        await InParallelAsync(clients: 16, TimeSpan.FromSeconds(2), async (client, random) =>
        {
            int user = 1 + random.Next(users);
            // Two clients may post a user's events in the other order than they took the time: that is refused, and no more than that.
            if (random.Next(3) == 0)
            {
                var one = new { item = random.Next(50), action = random.Next(2), timestamp = Interlocked.Increment(ref time) };
                Assert.Contains(await StatusAsync("/events", new { user, events = new[] { one } }), new[] { HttpStatusCode.OK, HttpStatusCode.BadRequest });
            }
            else
            {
                await RankAsync(user, s_items, random.Next(2) == 0 ? null : start - random.Next(100_000));
            }
        });
        for (int user = 1; user <= users; user++)
        {
            Dictionary<int, float> expected = await RankHistoryOfAsync(user, time + 1), actual = await RankAsync(user, s_items, time + 1);
            Assert.All(s_items, item => Assert.Equal(expected[item], actual[item], 1e-5));
        }
        string metrics = await _client.GetStringAsync("/metrics");
        Assert.InRange(Metric(metrics, "sparsectr_state_bytes"), 1, 150_000);
        Assert.InRange(Metric(metrics, "sparsectr_state_evictions_total"), 1, double.MaxValue);
        Assert.DoesNotContain("status=\"5", metrics);
    }

    [Fact]
    public async Task A_new_model_takes_over_under_load_and_every_request_is_answered_by_one_of_the_two()
    {
        long time = clicks.Data.Rows[^1].Timestamp + 1;
        Dictionary<int, float> old = await RankAsync(9, s_items, time);
        using var stop = new CancellationTokenSource();
        var answers = new ConcurrentBag<Dictionary<int, float>>();
        Task load = InParallelAsync(clients: 8, TimeSpan.FromSeconds(60), async (_, _) => answers.Add(await RankAsync(9, s_items, time)), stop.Token);
        for (int reload = 0; reload < 3; reload++)
        {
            File.Copy(reload % 2 == 0 ? clicks.OtherModelPath : clicks.ModelPath, _modelPath, overwrite: true);
            Assert.Equal("ok", (string)(await PostAsync("/reload", new { }))["status"]!);
        }
        stop.Cancel();
        await load;

        Dictionary<int, float> last = await RankAsync(9, s_items, time);
        Assert.NotEqual(old[s_items[0]], last[s_items[0]], 1e-3);
        Assert.All(answers, answer => Assert.True(IsOf(old, answer) || IsOf(last, answer)));
        Assert.Contains(answers, answer => IsOf(last, answer));

        static bool IsOf(Dictionary<int, float> model, Dictionary<int, float> answer) => answer.All(one => Math.Abs(one.Value - model[one.Key]) < 1e-5);
    }

    [Fact]
    public async Task A_broken_model_file_is_reported_and_the_old_model_goes_on_until_there_is_a_good_one()
    {
        Dictionary<int, float> expected = await RankAsync(2, s_items, null);
        File.WriteAllText(_modelPath, "half of a model");
        await AssertProblemAsync(HttpStatusCode.InternalServerError, "/reload", null, null, "cannot be loaded");
        JsonNode health = await GetAsync("/health");
        Assert.Equal(("degraded", true), ((string)health["status"]!, ((string)health["problem"]!).Contains("ctr.zip cannot be loaded")));
        Assert.Equal(1, Metric(await _client.GetStringAsync("/metrics"), "sparsectr_model_failed_reloads_total"));
        Assert.Equal(expected.Keys, (await RankAsync(2, s_items, null)).Keys);

        // Found without being told.
        File.Copy(clicks.OtherModelPath, _modelPath, overwrite: true);
        var clock = Stopwatch.StartNew();
        while ((string)(await GetAsync("/health"))["status"]! != "ok")
        {
            Assert.True(clock.Elapsed < TimeSpan.FromSeconds(30));
            await Task.Delay(50);
        }
        Assert.Equal(1, Metric(await _client.GetStringAsync("/metrics"), "sparsectr_model_reloads_total"));
    }

    [SkippableFact]
    public async Task On_SIGTERM_requests_under_way_are_answered()
    {
        Skip.If(OperatingSystem.IsWindows(), "Windows has no SIGTERM");
        using Process process = Processes.StartSamples("serve", "--users", $"{ServedClicks.Users}", "--model", clicks.ModelPath, "--port", "0");
        string first = (await process.StandardOutput.ReadLineAsync())!;
        int port = new Uri(Regex.Match(first, @"http://[\d.:]+").Value).Port;
        using var connection = new TcpClient("127.0.0.1", port);
        NetworkStream stream = connection.GetStream();
        using var answer = new StreamReader(stream);
        const string body = """{"user": 1, "candidates": [1, 2, 3]}""";
        // That it is asked for the rest says that the request is under way.
        await stream.WriteAsync(Encoding.ASCII.GetBytes(
            $"POST /rank HTTP/1.1\r\nHost: here\r\nContent-Type: application/json\r\nContent-Length: {body.Length}\r\nExpect: 100-continue\r\n\r\n"));
        Assert.Equal("HTTP/1.1 100 Continue", await answer.ReadLineAsync());
        Process.Start("kill", ["-TERM", $"{process.Id}"]).WaitForExit();
        while (await IsListeningAsync(port))
            await Task.Delay(10);

        await stream.WriteAsync(Encoding.ASCII.GetBytes(body));
        Assert.Contains("HTTP/1.1 200 OK", await answer.ReadToEndAsync());
        string rest = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        Assert.Equal((0, "all requests are answered; stopped"), (process.ExitCode, rest.TrimEnd()));

        static async Task<bool> IsListeningAsync(int port)
        {
            using var probe = new TcpClient();
            try
            {
                await probe.ConnectAsync("127.0.0.1", port);
                return true;
            }
            catch (SocketException)
            {
                return false;
            }
        }
    }

    // --- the page ---

    [SkippableTheory]
    [InlineData("1200,900")]
    [InlineData("390,800")]
    public async Task The_page_shows_a_users_history_and_what_a_candidate_that_is_clicked_attends_to(string size)
    {
        await using Browser page = await Browser.OpenAsync($"{_service.Address}/#user=4", clicks.NewPath("profile"), size);
        await page.WaitAsync("document.body?.dataset.shows?.startsWith('user 4 ')");
        JsonArray events = (await GetAsync("/users/4"))["events"]!.AsArray();
        Assert.Equal(ServedClicks.Users, (int)(await page.EvaluateAsync("document.querySelectorAll('#user option').length"))!);
        Assert.Equal(events.Count, await CountAsync("circle"));
        Assert.Equal(30, await CountAsync("#ranked li"));

        const string candidate = "document.querySelectorAll('#ranked button')[12]";
        int item = (int)(await page.EvaluateAsync($"{candidate}.click(), +{candidate}.dataset.item"))!;
        await page.WaitAsync($"document.body.dataset.shows === 'user 4 item {item}'");
        JsonNode attention = (await PostAsync("/explain", new { user = 4, candidate = item, timestamp = (long)events[^1]!["timestamp"]! + 60 }))["attention"]!;
        Assert.Equal(attention["chunks"]!.AsArray().Count, await CountAsync("rect.chunk"));
        int bars = attention["transition"]!.AsArray().Concat(attention["local"]!.AsArray()).Count(weight => (float)weight! > 0);
        Assert.Equal(bars + 1, await CountAsync("rect.bar"));
        Assert.Equal(((float)attention["localGate"]!).ToString("F2", CultureInfo.InvariantCulture),
            (string)(await page.EvaluateAsync("document.querySelector('#gates > :last-child').textContent"))!);

        // The user acts on it: the history grows.
        await page.EvaluateAsync("document.querySelector('[data-action=\"1\"]').click()");
        await page.WaitAsync($"document.querySelectorAll('circle').length === {events.Count + 1}");
        Assert.False((bool)(await page.EvaluateAsync("document.documentElement.scrollWidth > innerWidth"))!, "The page is wider than the screen.");
        Assert.Equal(0, await CountAsync(".error"));

        async Task<int> CountAsync(string selector) => (int)(await page.EvaluateAsync($"document.querySelectorAll('{selector}').length"))!;
    }

    // --- requests ---

    private static StringContent Json(string text) => new(text, Encoding.UTF8, "application/json");

    private async Task<JsonNode> GetAsync(string route) => (await _client.GetFromJsonAsync<JsonNode>(route))!;

    private async Task<JsonNode> PostAsync(string route, object body)
    {
        using HttpResponseMessage response = await _client.PostAsJsonAsync(route, body);
        string text = await response.Content.ReadAsStringAsync();
        Assert.True(response.IsSuccessStatusCode, text);
        return JsonNode.Parse(text)!;
    }

    private async Task<HttpStatusCode> StatusAsync(string route, object body)
    {
        using HttpResponseMessage response = await _client.PostAsJsonAsync(route, body);
        return response.StatusCode;
    }

    /// <summary>The score of each item.</summary>
    private async Task<Dictionary<int, float>> RankAsync(int user, int[] candidates, long? timestamp) => Scores(await PostAsync("/rank", new { user, candidates, timestamp }));

    /// <summary>The scores for a user's events as the service tells them.</summary>
    private async Task<Dictionary<int, float>> RankHistoryOfAsync(int user, long timestamp)
    {
        var history = (await GetAsync($"/users/{user}"))["events"]!.AsArray()
            .Select(one => new { item = (int)one!["item"]!, action = (float)one["action"]!, timestamp = (long)one["timestamp"]! });
        return Scores(await PostAsync("/rank", new { history, candidates = s_items, timestamp }));
    }

    private static Dictionary<int, float> Scores(JsonNode ranked)
        => ranked["candidates"]!.AsArray().ToDictionary(one => (int)one!["item"]!, one => (float)one!["score"]!);

    private async Task AssertProblemAsync(HttpStatusCode status, string route, HttpContent? body, string? field, string expected)
    {
        using HttpResponseMessage response = await _client.PostAsync(route, body);
        JsonNode problem = JsonNode.Parse(await response.Content.ReadAsStringAsync())!;
        Assert.Equal((status, "application/problem+json"), (response.StatusCode, response.Content.Headers.ContentType?.MediaType));
        Assert.Equal(field, (string?)problem["field"]);
        Assert.StartsWith(field ?? "", (string)problem["detail"]!);
        Assert.Contains(expected, (string)problem["detail"]!);
    }

    private static double Metric(string metrics, string name)
        => double.Parse(Regex.Match(metrics, $@"^{name} (\S+)$", RegexOptions.Multiline).Groups[1].Value, CultureInfo.InvariantCulture);

    private static async Task InParallelAsync(int clients, TimeSpan time, Func<int, Random, Task> request, CancellationToken stop = default)
    {
        var clock = Stopwatch.StartNew();
        await Task.WhenAll(Enumerable.Range(0, clients).Select(client => Task.Run(async () =>
        {
            var random = new Random(client);
            while (clock.Elapsed < time && !stop.IsCancellationRequested)
                await request(client, random);
        })));
    }
}
