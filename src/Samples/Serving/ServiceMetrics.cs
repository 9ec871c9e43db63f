using System.Collections.Concurrent;
using System.Globalization;
using System.Text;

namespace SparseCtr.Samples;

/// <summary>Counts requests, and writes what there is to know as Prometheus reads it.</summary>
internal sealed class ServiceMetrics
{
    private static readonly double[] s_bounds = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

    private readonly ConcurrentDictionary<(string Route, int Status), long> _requests = [];
    private readonly ConcurrentDictionary<string, Histogram> _seconds = [];

    public void Add(string route, int status, TimeSpan elapsed)
    {
        _requests.AddOrUpdate((route, status), 1, (_, count) => count + 1);
        _seconds.GetOrAdd(route, _ => new Histogram()).Add(elapsed.TotalSeconds);
    }

    public string Write(ModelFile model)
    {
        var text = new StringBuilder();
        Family("requests_total", "counter", "Requests answered.");
        foreach (((string route, int status), long count) in _requests.OrderBy(request => request.Key))
            Line("requests_total", $"route=\"{route}\",status=\"{status}\"", count);
        Family("request_seconds", "histogram", "Time to answer a request.");
        foreach ((string route, Histogram histogram) in _seconds.OrderBy(route => route.Key))
        {
            (long[] counts, double sum) = histogram.Read();
            long total = 0;
            for (int i = 0; i < counts.Length; i++)
            {
                string bound = i < s_bounds.Length ? s_bounds[i].ToString(CultureInfo.InvariantCulture) : "+Inf";
                Line("request_seconds_bucket", $"route=\"{route}\",le=\"{bound}\"", total += counts[i]);
            }
            Line("request_seconds_sum", $"route=\"{route}\"", sum);
            Line("request_seconds_count", $"route=\"{route}\"", total);
        }
        ServedModel current = model.Current;
        Single("states", "gauge", "Users whose histories are kept encoded.", current.States.Count);
        Single("state_bytes", "gauge", "Memory of these.", current.States.ByteSize);
        Single("state_evictions_total", "counter", "States that were forgotten to make room.", model.Evictions);
        Single("model_file_time_seconds", "gauge", "When the file of the model in use was written.", ((DateTimeOffset)current.FileTime).ToUnixTimeMilliseconds() / 1e3);
        Single("model_reloads_total", "counter", "Models that took the place of the one before.", model.Reloads);
        Single("model_failed_reloads_total", "counter", "Model files that could not be loaded.", model.FailedReloads);
        Single("resident_bytes", "gauge", "Memory of the process.", Environment.WorkingSet);
        return text.ToString();

        void Family(string name, string type, string help) => text.Append($"# HELP sparsectr_{name} {help}\n# TYPE sparsectr_{name} {type}\n");

        void Line(string name, string labels, double value)
            => text.Append(CultureInfo.InvariantCulture, $"sparsectr_{name}{(labels == "" ? "" : $"{{{labels}}}")} {value}\n");

        void Single(string name, string type, string help, double value)
        {
            Family(name, type, help);
            Line(name, "", value);
        }
    }

    private sealed class Histogram
    {
        private readonly Lock _lock = new();
        private readonly long[] _counts = new long[s_bounds.Length + 1];
        private double _sum;

        public void Add(double seconds)
        {
            int bucket = Array.FindIndex(s_bounds, bound => seconds <= bound);
            lock (_lock)
            {
                _counts[bucket < 0 ? s_bounds.Length : bucket]++;
                _sum += seconds;
            }
        }

        public (long[] Counts, double Sum) Read()
        {
            lock (_lock)
                return ([.. _counts], _sum);
        }
    }
}
