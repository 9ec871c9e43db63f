using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class RowOperationTests
{
    private readonly MLContext _ml = new(seed: 1);

    private class Row
    {
        public int Number { get; set; }
        public float Value { get; set; }
        public string User { get; set; }
        public float[] Vector { get; set; }
    }

    private static IEnumerable<Row> Rows(int count) => Enumerable.Range(0, count)
        .Select(i => new Row { Number = i, Value = i / 10f, User = $"user {i % 7}", Vector = [i, -i] });

    private IDataView Data(int count) => _ml.Data.LoadFromEnumerable(Rows(count).ToList());

    private static IEnumerable<int> Numbers(IDataView data) => data.GetColumn<int>("Number");

    [Fact]
    public void RowsAreTakenAndSkipped()
    {
        Assert.Equal([0, 1, 2], Numbers(_ml.Data.TakeRows(Data(10), 3)));
        Assert.Equal([7, 8, 9], Numbers(_ml.Data.SkipRows(Data(10), 7)));
        Assert.Empty(Numbers(_ml.Data.SkipRows(Data(10), 11)));
        Assert.Empty(Numbers(_ml.Data.TakeRows(Data(10), 0)));
        Assert.Equal(3, _ml.Data.TakeRows(Data(10), 3).GetRowCount());
        Assert.Equal(0, _ml.Data.SkipRows(Data(10), 11).GetRowCount());
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.TakeRows(Data(1), -1));
    }

    [Fact]
    public void RowsAreFilteredByBoundsOfWhichTheUpperIsExcluded()
    {
        Assert.Equal([3, 4], Numbers(_ml.Data.FilterRowsByColumn(Data(10), "Value", 0.3f, 0.5f)));
        Assert.Contains("filter column 'User'",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.FilterRowsByColumn(Data(1), "User", 0)).Message);
    }

    [Fact]
    public void ShufflingIsARepeatablePermutation()
    {
        var shuffled = _ml.Data.ShuffleRows(Data(500), seed: 3, shufflePoolSize: 20);
        var numbers = Numbers(shuffled).ToArray();
        Assert.NotEqual(Enumerable.Range(0, 500), numbers);
        Assert.Equal(Enumerable.Range(0, 500), numbers.Order());
        Assert.Equal(numbers, Numbers(shuffled));
        Assert.Equal(numbers, Numbers(_ml.Data.ShuffleRows(Data(500), seed: 3, shufflePoolSize: 20)));
        Assert.NotEqual(numbers, Numbers(_ml.Data.ShuffleRows(Data(500), seed: 4, shufflePoolSize: 20)));
    }

    [Fact]
    public void AnUnshuffledSourceIsShuffledOnlyAsFarAsThePoolReaches()
    {
        var numbers = Numbers(_ml.Data.ShuffleRows(Data(500), shufflePoolSize: 20, shuffleSource: false)).ToArray();
        Assert.All(numbers.Select((number, position) => number - position), ahead => Assert.True(ahead < 20));
    }

    [Fact]
    public void ShuffledRowsKeepTheirValuesTogether()
    {
        var rows = _ml.Data.CreateEnumerable<Row>(_ml.Data.ShuffleRows(Data(100)), reuseRowObject: false);
        Assert.All(rows, row => Assert.Equal([row.Number, -row.Number], row.Vector));
    }

    [Fact]
    public void CachedDataIsReadOnceForEachColumn()
    {
        int reads = 0;
        var cached = _ml.Data.Cache(_ml.Data.LoadFromEnumerable(Rows(5).Select(row =>
        {
            reads++;
            return row;
        })));
        Assert.Equal(0, reads);
        Assert.Equal([0, 1, 2, 3, 4], Numbers(cached));
        Assert.Equal([0, 1, 2, 3, 4], Numbers(cached));
        Assert.Equal(5, reads);
        Assert.Equal(5, cached.GetRowCount());
        Assert.Equal(5, cached.GetColumn<float[]>("Vector").Count());
        Assert.Equal(10, reads);
    }

    [Fact]
    public void PrefetchedColumnsAreReadWithTheFirst()
    {
        int reads = 0;
        var cached = _ml.Data.Cache(_ml.Data.LoadFromEnumerable(Rows(5).Select(row =>
        {
            reads++;
            return row;
        })), "Vector");
        Assert.Equal(5, Numbers(cached).Count());
        Assert.Equal(5, cached.GetColumn<float[]>("Vector").Count());
        Assert.Equal(5, reads);
    }

    [Fact]
    public void TrainAndTestSetsPartitionTheRows()
    {
        var split = _ml.Data.TrainTestSplit(Data(1000), testFraction: 0.2);
        var train = Numbers(split.TrainSet).ToArray();
        var test = Numbers(split.TestSet).ToArray();
        Assert.Equal(Enumerable.Range(0, 1000), train.Concat(test).Order());
        Assert.InRange(test.Length, 150, 250);
        Assert.Equal(test, Numbers(_ml.Data.TrainTestSplit(Data(1000), 0.2).TestSet));
        Assert.NotEqual(test, Numbers(_ml.Data.TrainTestSplit(Data(1000), 0.2, seed: 9).TestSet));
    }

    [Theory]
    [InlineData("User")]
    [InlineData("Vector")]
    public void RowsWithOneSamplingKeyComeIntoOneSet(string samplingKey)
    {
        var data = _ml.Data.LoadFromEnumerable(Rows(700).Select(row => new Row { User = row.User, Vector = [row.Number % 9] }));
        var split = _ml.Data.TrainTestSplit(data, 0.5, samplingKey);
        Assert.Equal(700, Keys(split.TrainSet).Count() + Keys(split.TestSet).Count());
        Assert.Empty(Keys(split.TrainSet).Intersect(Keys(split.TestSet)));

        IEnumerable<string> Keys(IDataView set) => _ml.Data.CreateEnumerable<Row>(set, false)
            .Select(row => samplingKey == "User" ? row.User : row.Vector[0].ToString());
    }

    [Fact]
    public void SplitsCheckTheirArguments()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.TrainTestSplit(Data(1), 1));
        Assert.Contains("SamplingKeyColumn column 'Nope'",
            Assert.Throws<ArgumentOutOfRangeException>(() => _ml.Data.TrainTestSplit(Data(1), 0.5, "Nope")).Message);
    }

    [Fact]
    public void PreviewsShowTheFirstRowsByRowAndByColumn()
    {
        var preview = Data(10).Preview(maxRows: 2);
        Assert.Equal(2, preview.RowView.Length);
        Assert.Equal([0, 1], preview.ColumnView[0].Values);
        Assert.Equal(KeyValuePair.Create<string, object>("Number", 1), preview.RowView[1].Values[0]);
        Assert.Equal(3, _ml.Transforms.CopyColumns("Copy", "Number").Preview(Data(10), maxRows: 3).RowView.Length);
    }
}
