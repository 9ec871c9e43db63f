using System.Text;
using Microsoft.ML.Runtime;

namespace Microsoft.ML;

/// <summary>
/// The 256 bytes before a component's own bytes in Model.key, and what follows them: the name of the loader's assembly and a tail mark.
/// </summary>
internal sealed class ModelHeader
{
    private const ulong SignatureValue = 0x4C45444F4D004C4D;
    private const ulong TailSignatureValue = 0x4D4C004D4F44454C;
    private const uint FormatVersion = 0x00010002;
    private const int AssemblyNameOffset = 0x90;

    /// <summary>Where the component's own bytes start.</summary>
    public const int Size = 0x100;

    public ulong ModelSignature { get; private init; }
    public uint ModelVerWritten { get; private init; }
    public uint ModelVerReadable { get; private init; }
    public string LoaderSignature { get; private init; }
    public string LoaderAssemblyName { get; private init; }

    /// <summary>Completes a stream that stands at the end of a component's bytes, which start at <see cref="Size"/>.</summary>
    public static void Write(Stream stream, VersionInfo version)
    {
        using var writer = new BinaryWriter(stream, Encoding.Unicode, leaveOpen: true);
        long modelEnd = stream.Position;
        byte[] assemblyName = Encoding.Unicode.GetBytes(version.LoaderAssemblyName ?? "");
        writer.Write(assemblyName);
        long tail = stream.Position;
        writer.Write(TailSignatureValue);
        long end = stream.Position;

        stream.Position = 0;
        writer.Write(SignatureValue);
        writer.Write(FormatVersion); // written
        writer.Write(FormatVersion); // readable
        writer.Write((long)Size);
        writer.Write(modelEnd - Size);
        writer.Write(new byte[4 * sizeof(long)]); // no table of strings
        writer.Write(version.ModelSignature);
        writer.Write(version.VerWrittenCur);
        writer.Write(version.VerReadableCur);
        writer.Write(SignatureBytes(version.LoaderSignature));
        writer.Write(SignatureBytes(version.LoaderSignatureAlt));
        writer.Write(tail);
        writer.Write(end);
        writer.Write(assemblyName.Length == 0 ? 0L : modelEnd);
        writer.Write(assemblyName.Length);
        stream.Position = end;
    }

    /// <summary>Reads the head, and leaves the stream at the component's own bytes.</summary>
    public static ModelHeader Read(Stream stream, IExceptionContext ctx)
    {
        ctx.CheckDecode(stream.Length >= Size + sizeof(ulong), "Corrupt model header: it is cut short");
        using var reader = new BinaryReader(stream, Encoding.Unicode, leaveOpen: true);
        ctx.CheckDecode(reader.ReadUInt64() == SignatureValue, "Corrupt model header: it has the wrong signature");
        reader.ReadUInt32();
        ctx.CheckDecode(reader.ReadUInt32() <= FormatVersion, "Model header has a version that is too new to be read");
        stream.Position = 0x40;
        ulong modelSignature = reader.ReadUInt64();
        uint modelVerWritten = reader.ReadUInt32();
        uint modelVerReadable = reader.ReadUInt32();
        string loaderSignature = Encoding.Latin1.GetString(reader.ReadBytes(VersionInfo.MaxLoaderSignatureLength)).TrimEnd('\0');
        stream.Position = AssemblyNameOffset;
        long nameOffset = reader.ReadInt64();
        int nameLength = reader.ReadInt32();
        ctx.CheckDecode(nameOffset >= 0 && nameLength >= 0 && nameOffset + nameLength <= stream.Length,
            "Corrupt model header: bad loader assembly name");
        stream.Position = nameOffset;
        string assemblyName = Encoding.Unicode.GetString(reader.ReadBytes(nameLength));
        stream.Position = Size;
        return new ModelHeader
        {
            ModelSignature = modelSignature,
            ModelVerWritten = modelVerWritten,
            ModelVerReadable = modelVerReadable,
            LoaderSignature = loaderSignature,
            LoaderAssemblyName = assemblyName,
        };
    }

    /// <summary>Throws unless a component of that version can read what was written.</summary>
    public void Check(VersionInfo version, IExceptionContext ctx)
    {
        ctx.CheckDecode(ModelSignature == version.ModelSignature, "Unknown file type");
        ctx.CheckDecode(ModelVerReadable <= ModelVerWritten, "Corrupt file header");
        var product = typeof(VersionInfo).Assembly.GetName().Version;
        if (ModelVerReadable > version.VerWrittenCur)
        {
            throw ctx.ExceptDecode($"ML.NET {product} cannot read component '{version.LoaderSignature}' of the model: it is too new. "
                + $"Expected at most version {version.VerWrittenCur}, got {ModelVerReadable}.");
        }
        if (ModelVerWritten < version.VerWeCanReadBack)
        {
            throw ctx.ExceptDecode($"ML.NET {product} cannot read component '{version.LoaderSignature}' of the model: it is too old. "
                + $"Expected at least version {version.VerWeCanReadBack}, got {ModelVerWritten}.");
        }
    }

    private static byte[] SignatureBytes(string signature)
    {
        var bytes = new byte[VersionInfo.MaxLoaderSignatureLength];
        Encoding.Latin1.GetBytes(signature ?? "", bytes);
        return bytes;
    }
}
