using System.Diagnostics;
using System.Net.Http.Headers;
using System.Text.Json;
using System.Text.RegularExpressions;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>The samples' web service in a process of its own, asked by many clients at once from this one.</summary>
internal static class ServiceBenchmark
{
    private const int Clients = 64, Candidates = 100, Users = 1_200, Items = 400;

    /// <summary>Of the requests, one in so many posts an event; the others rank.</summary>
    private const int RequestsPerEvent = 10;

    private static readonly TimeSpan s_settled = TimeSpan.FromSeconds(10);

    public static void Run(int seconds)
    {
        string folder = Directory.CreateTempSubdirectory("sparsectr").FullName, model = Path.Combine(folder, "ctr.zip");
        try
        {
            Console.WriteLine(Invariant($"service: {Users:N0} users of about 90 events, requests of {Candidates} candidates, one in {RequestsPerEvent} posts an event instead; ")
                + "clients share the processors with it");
            using (Process training = Start("train", "--users", $"{Users}", "--model", model))
            {
                training.StandardOutput.ReadToEnd();
                training.WaitForExit();
            }
            using Process service = Start("serve", "--users", $"{Users}", "--model", model, "--port", "0");
            try
            {
                string first = service.StandardOutput.ReadLine() ?? throw new InvalidDataException("The service did not start: what it had to say is above.");
                var address = new Uri(Regex.Match(first, @"http://[\d.:]+").Value);
                Measure(service, address, clients: 1, TimeSpan.FromSeconds(5));
                Measure(service, address, Clients, TimeSpan.FromSeconds(seconds));
            }
            finally
            {
                service.Kill();
                service.WaitForExit();
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Process Start(params string[] arguments)
        => Process.Start(new ProcessStartInfo(Path.Combine(AppContext.BaseDirectory, "Samples"), arguments) { RedirectStandardOutput = true })!;

    private static void Measure(Process service, Uri address, int clients, TimeSpan time)
    {
        using var http = new HttpClient { BaseAddress = address };
        var clock = Stopwatch.StartNew();
        Task<(List<double> Milliseconds, int Errors)>[] running = Enumerable.Range(0, clients)
            .Select(client => Task.Run(() => AskAsync(http, client, clients, clock, time))).ToArray();
        // From the tenth second on, once a second.
        var resident = new List<double>();
        while (!Task.WhenAll(running).Wait(resident.Count == 0 ? s_settled : TimeSpan.FromSeconds(1)))
            resident.Add(Resident(service));
        (List<double> Milliseconds, int Errors)[] results = Task.WhenAll(running).GetAwaiter().GetResult();
        double[] all = results.SelectMany(result => result.Milliseconds).Order().ToArray();
        Console.WriteLine(Invariant($"  {clients} {(clients == 1 ? "client" : "clients")} for {time.TotalSeconds} s: {all.Length:N0} requests, ")
            + Invariant($"{results.Sum(result => result.Errors)} errors, ")
            + Invariant($"{all.Length / time.TotalSeconds:N0} requests/s, p50 {Quantile(0.5):F2} ms, p99 {Quantile(0.99):F2} ms")
            + (resident.Count == 0 ? "" : Invariant($"; resident memory {resident[0]:N0} MB after {s_settled.TotalSeconds} s, ")
                + Invariant($"then at most {resident.Max():N0} MB, {resident[^1]:N0} MB at the end")));

        double Quantile(double share) => all[(int)(share * (all.Length - 1))];
    }

    private static async Task<(List<double> Milliseconds, int Errors)> AskAsync(HttpClient http, int client, int clients, Stopwatch clock, TimeSpan time)
    {
        var random = new Random(client);
        var milliseconds = new List<double>();
        int errors = 0;
        while (clock.Elapsed < time)
        {
            // Each client has users of its own, whose events it posts in order.
            int user = 1 + client + clients * random.Next((Users - client + clients - 1) / clients);
            long start = Stopwatch.GetTimestamp();
            try
            {
                using HttpResponseMessage response = random.Next(RequestsPerEvent) == 0
                    ? await PostAsync("/events", new { user, events = new[] { NewEvent(random) } })
                    : await PostAsync("/rank", new { user, candidates = Enumerable.Range(0, Candidates).Select(_ => random.Next(Items)).ToArray() });
                await response.Content.CopyToAsync(Stream.Null);
                errors += response.IsSuccessStatusCode ? 0 : 1;
            }
            catch (HttpRequestException)
            {
                errors++;
            }
            milliseconds.Add(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
        }
        return (milliseconds, errors);

        Task<HttpResponseMessage> PostAsync(string route, object body) => http.PostAsync(
            route, new ByteArrayContent(JsonSerializer.SerializeToUtf8Bytes(body)) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } });
    }

    private static object NewEvent(Random random)
        => new { item = random.Next(Items), action = random.Next(2), timestamp = DateTimeOffset.UtcNow.ToUnixTimeSeconds() };

    private static double Resident(Process process)
    {
        process.Refresh();
        return process.WorkingSet64 / 1e6;
    }
}
