namespace Microsoft.ML.Data;

/// <summary>Makes getters.</summary>
internal static class Getters
{
    /// <summary>Always the same vector.</summary>
    public static ValueGetter<VBuffer<T>> Constant<T>(T[] values) =>
        (ref VBuffer<T> value) => VBuffer<T>.Copy(values, 0, ref value, values.Length);

    /// <summary>The values of <paramref name="column"/>, or the items of its vectors, mapped one by one.</summary>
    public static Delegate MapItems<TSource, TResult>(DataViewRow row, DataViewSchema.Column column, Func<TSource, TResult> map) =>
        column.Type is VectorDataViewType
            ? MapVector(row.GetGetter<VBuffer<TSource>>(column), map)
            : MapScalar(row.GetGetter<TSource>(column), map);

    private static ValueGetter<TResult> MapScalar<TSource, TResult>(ValueGetter<TSource> getter, Func<TSource, TResult> map)
    {
        TSource source = default;
        return (ref TResult value) =>
        {
            getter(ref source);
            value = map(source);
        };
    }

    /// <summary>A sparse vector stays so if default values map to default values.</summary>
    private static ValueGetter<VBuffer<TResult>> MapVector<TSource, TResult>(
        ValueGetter<VBuffer<TSource>> getter, Func<TSource, TResult> map)
    {
        VBuffer<TSource> source = default;
        return (ref VBuffer<TResult> value) =>
        {
            getter(ref source);
            var items = source.GetValues();
            var indices = source.GetIndices();
            var ofDefault = source.IsDense ? default : map(default);
            bool fillsIn = !EqualityComparer<TResult>.Default.Equals(ofDefault, default);
            var editor = VBufferEditor.Create(ref value, source.Length, fillsIn ? source.Length : items.Length);
            if (fillsIn)
            {
                editor.Values.Fill(ofDefault);
                for (int i = 0; i < items.Length; i++)
                    editor.Values[indices[i]] = map(items[i]);
            }
            else
            {
                for (int i = 0; i < items.Length; i++)
                    editor.Values[i] = map(items[i]);
                indices.CopyTo(editor.Indices);
            }
            value = editor.Commit();
        };
    }
}
