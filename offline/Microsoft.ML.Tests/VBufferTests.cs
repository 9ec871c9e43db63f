using FsCheck;
using FsCheck.Fluent;
using Microsoft.ML.Data;

namespace Microsoft.ML.Tests;

public class VBufferTests
{
    private static readonly VBuffer<float> _sparse = new(6, 2, [10, 40], [1, 4]);

    [Fact]
    public void SparseValuesStandAtTheirIndices()
    {
        Assert.Equal([0, 10, 0, 0, 40, 0], _sparse.DenseValues());
        Assert.Equal(40, _sparse.GetItemOrDefault(4));
        Assert.Equal(0, _sparse.GetItemOrDefault(5));
        Assert.Equal([KeyValuePair.Create(1, 10f), KeyValuePair.Create(4, 40f)], _sparse.Items());
        Assert.Throws<ArgumentOutOfRangeException>(() => _sparse.GetItemOrDefault(6));
    }

    [Fact]
    public void EditorsReuseArraysThatAreLargeEnough()
    {
        var buffer = new VBuffer<float>(3, [1, 2, 3]);
        var editor = VBufferEditor.Create(ref buffer, 2);
        Assert.False(editor.CreatedNewValues);
        editor.Values[1] = 7;
        Assert.Equal([1, 7], editor.Commit().DenseValues());
        Assert.True(VBufferEditor.Create(ref buffer, 4).CreatedNewValues);
    }

    [Fact]
    public void ASliceIsTheSliceOfTheDenseValues() => Prop.ForAll<bool[], int, int>((present, first, length) =>
    {
        int[] indices = [.. Enumerable.Range(0, present.Length).Where(i => present[i])];
        var vector = new VBuffer<int>(present.Length, indices.Length, [.. indices.Select(i => i + 1)], indices);
        first = present.Length == 0 ? 0 : Math.Abs(first % (present.Length + 1));
        length = Math.Abs(length % (present.Length - first + 1));
        VBuffer<int> slice = default;
        vector.CopyTo(ref slice, first, length);
        return slice.DenseValues().SequenceEqual(vector.DenseValues().Skip(first).Take(length));
    }).QuickCheckThrowOnFailure();

    [Fact]
    public void CopiesDoNotShareArrays()
    {
        float[] values = [1, 2];
        VBuffer<float> copy = default;
        new VBuffer<float>(2, values).CopyTo(ref copy);
        values[0] = 9;
        Assert.Equal([1, 2], copy.DenseValues());
    }

    [Fact]
    public void ACountBeyondTheArraysIsRefused()
    {
        Assert.Throws<ArgumentException>(() => new VBuffer<float>(3, [1, 2]));
        Assert.Throws<ArgumentException>(() => new VBuffer<float>(3, 2, [1, 2], [0]));
    }
}
