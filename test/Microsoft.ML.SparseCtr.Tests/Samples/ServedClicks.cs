using Microsoft.ML.Data;
using SparseCtr.Samples;
using LogRow = SparseCtr.Samples.Impression;

namespace Microsoft.ML.SparseCtr.Tests;

/// <summary>A small click log, and two models of it, whose histories are shorter than many users'.</summary>
public sealed class ServedClicks : IDisposable
{
    internal const int Users = 40, HistoryLength = 40;

    private readonly string _folder = Directory.CreateTempSubdirectory("sparsectr").FullName;
    private int _files;

    internal MLContext MLContext { get; } = new(seed: 1);

    internal ClickData Data { get; } = GeneratedData.Create(Users);

    internal string ModelPath { get; }

    internal string OtherModelPath { get; }

    public ServedClicks()
    {
        ModelPath = Train(seed: 1);
        OtherModelPath = Train(seed: 2);
    }

    public void Dispose() => Directory.Delete(_folder, recursive: true);

    internal string NewPath(string name) => Path.Combine(_folder, $"{++_files}-{name}");

    /// <summary>A service of its own, with a model file of its own.</summary>
    internal async Task<(WebService Service, HttpClient Client, string ModelPath)> StartAsync(long cacheBytes = 100_000_000)
    {
        string path = NewPath("ctr.zip");
        File.Copy(ModelPath, path);
        WebService service = await WebService.StartAsync(Data, new ServiceOptions(path, System.Net.IPAddress.Loopback, Port: 0, cacheBytes));
        return (service, new HttpClient { BaseAddress = new Uri(service.Address) }, path);
    }

    internal ITransformer Load() => MLContext.Model.Load(ModelPath, out _);

    /// <summary>What the pipeline makes of rows.</summary>
    internal float[] Scores(ITransformer model, IEnumerable<LogRow> rows)
        => model.Transform(MLContext.Data.LoadFromEnumerable(rows.ToList())).GetColumn<float>("Score").ToArray();

    /// <summary>A row of the log's kind for an item of the log.</summary>
    internal LogRow Row(int user, int item, long time, float action = 0) => new()
    {
        User = user,
        Item = item,
        Category = Data.Rows.First(row => row.Item == item).Category,
        Timestamp = time,
        Action = action,
        Label = action >= Data.LeastClick,
        Moment = ClickData.MomentOf(time),
    };

    private string Train(int seed)
    {
        string path = NewPath("trained.zip");
        string[] options = ["NumberOfEpochs=1", $"HistoryLength={HistoryLength}", "ModelDimension=16", "NumberOfHeads=2"];
        DemoArguments arguments = DemoArguments.Parse(options.SelectMany(option => new[] { "--set", option }).ToArray());
        var mlContext = new MLContext(seed);
        IDataView log = mlContext.Data.LoadFromEnumerable(Data.Rows);
        mlContext.Model.Save(Demo.Pipeline(mlContext, log, Demo.OptionsFor(Data, arguments)).Fit(log), log.Schema, path);
        return path;
    }
}
