namespace Microsoft.ML.Data;

/// <summary>How the values of a column are held in members of row classes.</summary>
internal abstract class MemberCodec<TMember, TValue>
{
    public abstract void ToValue(TMember member, ref TValue value);

    /// <summary>Sets <paramref name="member"/>, whose present content may be written over.</summary>
    public abstract void ToMember(in TValue value, ref TMember member);
}

/// <summary>Values that are held as they are.</summary>
internal sealed class ScalarCodec<T> : MemberCodec<T, T>
{
    public override void ToValue(T member, ref T value) => value = member;

    public override void ToMember(in T value, ref T member) => member = value;
}

/// <summary>Text in a string: null is empty text.</summary>
internal sealed class TextCodec : MemberCodec<string, ReadOnlyMemory<char>>
{
    public override void ToValue(string member, ref ReadOnlyMemory<char> value) => value = member.AsMemory();

    public override void ToMember(in ReadOnlyMemory<char> value, ref string member) => member = value.ToString();
}

/// <summary>Vectors, copied so that neither side sees what the other does to its own.</summary>
internal sealed class VectorCodec<T> : MemberCodec<VBuffer<T>, VBuffer<T>>
{
    public override void ToValue(VBuffer<T> member, ref VBuffer<T> value) => member.CopyTo(ref value);

    public override void ToMember(in VBuffer<T> value, ref VBuffer<T> member) => value.CopyTo(ref member);
}

/// <summary>Vectors in arrays: null is an empty vector.</summary>
internal sealed class ArrayCodec<TMember, TValue>(MemberCodec<TMember, TValue> items) : MemberCodec<TMember[], VBuffer<TValue>>
{
    public override void ToValue(TMember[] member, ref VBuffer<TValue> value)
    {
        var editor = VBufferEditor.Create(ref value, member?.Length ?? 0);
        if (member is TValue[] values)
            values.CopyTo(editor.Values);
        else
        {
            for (int i = 0; i < editor.Values.Length; i++)
                items.ToValue(member[i], ref editor.Values[i]);
        }
        value = editor.Commit();
    }

    public override void ToMember(in VBuffer<TValue> value, ref TMember[] member)
    {
        if (member?.Length != value.Length)
            member = value.Length == 0 ? [] : new TMember[value.Length];
        if (member is TValue[] values)
            value.CopyTo(values);
        else
        {
            foreach (var (index, item) in value.Items(all: true))
                items.ToMember(item, ref member[index]);
        }
    }
}
