using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class CursorTests
{
    private readonly MLContext _ml = new(seed: 1);

    private class Row
    {
        public int Number { get; set; }
        public string Text { get; set; } = "";
    }

    private IDataView Numbers(int count) =>
        _ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i => new Row { Number = i }).ToList());

    [Fact]
    public void CursorsStandBeforeTheFirstRowAndAfterTheLast()
    {
        var data = Numbers(2);
        using var cursor = data.GetRowCursor(data.Schema);
        var getter = cursor.GetGetter<int>(data.Schema["Number"]);
        int value = 0;
        Assert.Equal(-1, cursor.Position);
        Assert.Throws<InvalidOperationException>(() => getter(ref value));
        Assert.True(cursor.MoveNext());
        Assert.Equal(0, cursor.Position);
        Assert.True(cursor.MoveNext());
        Assert.Equal(1, cursor.Position);
        Assert.False(cursor.MoveNext());
        Assert.Equal(-1, cursor.Position);
        Assert.False(cursor.MoveNext());
    }

    [Fact]
    public void GettersOfInactiveColumnsAndOfWrongTypesAreRefused()
    {
        var data = _ml.Transforms.CopyColumns("Copy", "Text").Fit(Numbers(1)).Transform(Numbers(1));
        using var cursor = data.GetRowCursor([data.Schema["Number"]]);
        Assert.True(cursor.IsColumnActive(data.Schema["Number"]));
        Assert.False(cursor.IsColumnActive(data.Schema["Text"]));
        Assert.Throws<ArgumentException>(() => cursor.GetGetter<ReadOnlyMemory<char>>(data.Schema["Text"]));
        Assert.Throws<ArgumentException>(() => cursor.GetGetter<ReadOnlyMemory<char>>(data.Schema["Copy"]));
        Assert.Throws<InvalidOperationException>(() => cursor.GetGetter<float>(data.Schema["Number"]));
    }

    [Fact]
    public void GettersAreMadeOnce()
    {
        var data = Numbers(1);
        using var cursor = data.GetRowCursor(data.Schema);
        Assert.Same(cursor.GetGetter<int>(data.Schema[0]), cursor.GetGetter<int>(data.Schema[0]));
    }

    public static TheoryData<string> Views => ["list", "mapped", "cached", "filtered", "sequence", "shuffled", "taken", "split"];

    private IDataView MakeView(string kind, int count)
    {
        var list = Numbers(count);
        return kind switch
        {
            "list" => list,
            "mapped" => _ml.Transforms.CopyColumns("Copy", "Number").Fit(list).Transform(list),
            "cached" => _ml.Data.Cache(list),
            "filtered" => _ml.Data.FilterRowsByColumn(
                _ml.Transforms.Conversion.ConvertType("Single", "Number").Fit(list).Transform(list), "Single"),
            "sequence" => _ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i => new Row { Number = i })),
            "shuffled" => _ml.Data.ShuffleRows(list, shufflePoolSize: 5),
            "taken" => _ml.Data.TakeRows(list, count),
            _ => _ml.Data.TrainTestSplit(_ml.Data.LoadFromEnumerable(Enumerable.Range(0, count).Select(i => new Row { Number = i })), 1e-9)
                .TrainSet,
        };
    }

    [Theory]
    [MemberData(nameof(Views))]
    public void EveryRowComesExactlyOnceInACursorSet(string kind) => Prop.ForAll<byte, byte, bool>((count, n, shuffle) =>
    {
        var data = MakeView(kind, count);
        var rows = new List<int>();
        foreach (var cursor in data.GetRowCursorSet([data.Schema["Number"]], n % 5 + 1, shuffle && data.CanShuffle ? new Random(3) : null))
        {
            using (cursor)
            {
                var getter = cursor.GetGetter<int>(data.Schema["Number"]);
                int value = 0;
                while (cursor.MoveNext())
                {
                    getter(ref value);
                    rows.Add(value);
                }
            }
        }
        return rows.Order().SequenceEqual(Enumerable.Range(0, count));
    }).QuickCheckThrowOnFailure();

    [Theory]
    [InlineData("list")]
    [InlineData("cached")]
    [InlineData("mapped")]
    public void RandomAccessSourcesSplit(string kind)
    {
        var data = MakeView(kind, 10);
        var cursors = data.GetRowCursorSet([], 4);
        Assert.Equal(4, cursors.Length);
        Assert.Equal([0, 1, 2, 3], cursors.Select(cursor => cursor.Batch));
    }

    [Theory]
    [MemberData(nameof(Views))]
    public void RowIdsBelongToRowsInWhateverOrder(string kind)
    {
        var data = MakeView(kind, 30);
        Assert.Equal(Ids(data, null), Ids(data, data.CanShuffle ? new Random(5) : null));

        static Dictionary<int, DataViewRowId> Ids(IDataView data, Random random)
        {
            var ids = new Dictionary<int, DataViewRowId>();
            using var cursor = data.GetRowCursor([data.Schema["Number"]], random);
            var getId = cursor.GetIdGetter();
            var getNumber = cursor.GetGetter<int>(data.Schema["Number"]);
            while (cursor.MoveNext())
            {
                DataViewRowId id = default;
                int number = 0;
                getId(ref id);
                getNumber(ref number);
                ids.Add(number, id);
            }
            Assert.Equal(ids.Count, ids.Values.Distinct().Count());
            return ids;
        }
    }
}
