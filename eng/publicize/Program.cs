// Writes a copy of an assembly in which internal types and members are public, for the compiler to read.
//
//   publicize <output folder> <assembly.dll>...
//
// Only visibility flags change, in place: every offset, token and byte of code stays what it was. The copy is a compile-time
// reference and never runs; at run time the real assembly is used and IgnoresAccessChecksToAttribute opens it (see Interop/).

using System.Buffers.Binary;
using System.Reflection;
using System.Reflection.Metadata;
using System.Reflection.Metadata.Ecma335;
using System.Reflection.PortableExecutable;

if (args.Length < 2)
{
    Console.Error.WriteLine("usage: publicize <output folder> <assembly.dll>...");
    return 2;
}

Directory.CreateDirectory(args[0]);
foreach (string path in args[1..])
    File.WriteAllBytes(Path.Combine(args[0], Path.GetFileName(path)), Publicize(File.ReadAllBytes(path)));
return 0;

static byte[] Publicize(byte[] image)
{
    using var pe = new PEReader(new MemoryStream(image));
    MetadataReader metadata = pe.GetMetadataReader();
    int start = pe.PEHeaders.MetadataStartOffset;

    // ECMA-335 II.22: Flags is the first column of TypeDef (4 bytes) and of Field (2 bytes), and follows RVA and ImplFlags in MethodDef.
    foreach (Span<byte> flags in Column(TableIndex.TypeDef, offset: 0, size: 4))
    {
        var attributes = (TypeAttributes)BinaryPrimitives.ReadUInt32LittleEndian(flags);
        BinaryPrimitives.WriteUInt32LittleEndian(flags, (uint)PublicType(attributes));
    }
    foreach (Span<byte> flags in Column(TableIndex.Field, offset: 0, size: 2))
        BinaryPrimitives.WriteUInt16LittleEndian(flags, PublicMember(BinaryPrimitives.ReadUInt16LittleEndian(flags)));
    foreach (Span<byte> flags in Column(TableIndex.MethodDef, offset: 6, size: 2))
        BinaryPrimitives.WriteUInt16LittleEndian(flags, PublicMember(BinaryPrimitives.ReadUInt16LittleEndian(flags)));
    return image;

    ColumnCells Column(TableIndex table, int offset, int size) => new(
        image, start + metadata.GetTableMetadataOffset(table) + offset, metadata.GetTableRowSize(table), metadata.GetTableRowCount(table), size);
}

static TypeAttributes PublicType(TypeAttributes attributes) => (attributes & TypeAttributes.VisibilityMask) switch
{
    TypeAttributes.NotPublic => attributes & ~TypeAttributes.VisibilityMask | TypeAttributes.Public,
    TypeAttributes.NestedAssembly or TypeAttributes.NestedFamANDAssem or TypeAttributes.NestedFamORAssem
        => attributes & ~TypeAttributes.VisibilityMask | TypeAttributes.NestedPublic,
    _ => attributes,
};

// Fields and methods encode their accessibility in the same three bits; private and protected stay as they are.
static ushort PublicMember(ushort attributes) => (MethodAttributes)(attributes & (int)MethodAttributes.MemberAccessMask) switch
{
    MethodAttributes.Assembly or MethodAttributes.FamANDAssem or MethodAttributes.FamORAssem
        => (ushort)(attributes & ~(int)MethodAttributes.MemberAccessMask | (int)MethodAttributes.Public),
    _ => attributes,
};

/// <summary>The cells of one column of a metadata table, as writable bytes of the image.</summary>
internal ref struct ColumnCells(byte[] image, int first, int stride, int count, int size)
{
    private int _row = -1;

    public readonly Span<byte> Current => image.AsSpan(first + _row * stride, size);

    public bool MoveNext() => ++_row < count;

    public readonly ColumnCells GetEnumerator() => this;
}
