// Extension methods: one-element tensors as .NET numbers, tensors from .NET values, text.
using System.Globalization;
using System.Text;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace TorchSharp;

public static class TensorExtensionMethods
{
    public static bool ToBoolean(this Tensor value) => value.ToScalar().ToBoolean();
    public static byte ToByte(this Tensor value) => value.ToScalar().ToByte();
    public static sbyte ToSByte(this Tensor value) => value.ToScalar().ToSByte();
    public static short ToInt16(this Tensor value) => value.ToScalar().ToInt16();
    public static int ToInt32(this Tensor value) => value.ToScalar().ToInt32();
    public static long ToInt64(this Tensor value) => value.ToScalar().ToInt64();
    public static Half ToHalf(this Tensor value) => value.ToScalar().ToHalf();
    public static float ToSingle(this Tensor value) => value.ToScalar().ToSingle();
    public static double ToDouble(this Tensor value) => value.ToScalar().ToDouble();

    public static Parameter AsParameter(this Tensor tensor) => new(tensor);

    public static Tensor ToTensor<T>(this T[] rawArray, long[] dimensions, bool doCopy = false, bool requires_grad = false)
    {
        using var flat = from_array(doCopy ? (Array)rawArray.Clone() : rawArray);
        return flat.reshape(dimensions).requires_grad_(requires_grad);
    }

    public static Tensor ToTensor<T>(this T scalar, Device? device = null, bool requires_grad = false) where T : unmanaged =>
        FromMemory<T>([scalar], [], null, device, requires_grad, null);

    public static int ElementSize(this ScalarType type) => type switch
    {
        ScalarType.Byte or ScalarType.Int8 or ScalarType.Bool => 1,
        ScalarType.Int16 or ScalarType.Float16 or ScalarType.BFloat16 => 2,
        ScalarType.Int32 or ScalarType.Float32 => 4,
        ScalarType.ComplexFloat64 => 16,
        _ => 8,
    };

    public static long TotalSize(this IEnumerable<long> shape) => shape.Aggregate(1L, (product, size) => product * size);

    /// <summary>Element type, shape and device; and, unless <paramref name="style"/> is Metadata, the elements.</summary>
    public static string str(this Tensor tensor, string? fltFormat = null, int? width = null, string? newLine = "\n",
        CultureInfo? cultureInfo = null, TensorStringStyle style = TensorStringStyle.Default)
    {
        if (tensor.IsInvalid) return "(disposed tensor)";
        string metadata = $"[{string.Join("x", tensor.shape)}], type = {tensor.dtype}, device = {tensor.device}";
        if (style == TensorStringStyle.Metadata || tensor.is_meta) return metadata;
        var text = new StringBuilder(metadata).Append(newLine);
        using var copy = tensor.CpuCopy();
        using var values = copy.to_type(ScalarType.Float64);
        Write(values.data<double>().ToArray(), values.shape);
        return text.ToString();

        void Write(ReadOnlySpan<double> elements, ReadOnlySpan<long> shape)
        {
            if (shape.Length == 0)
            {
                text.Append(elements[0].ToString(fltFormat ?? "g5", cultureInfo ?? CultureInfo.InvariantCulture));
                return;
            }
            text.Append('[');
            for (int i = 0, size = (int)(elements.Length / Math.Max(1, shape[0])); i < shape[0]; i++)
            {
                if (i > 0) text.Append(shape.Length == 1 ? ", " : newLine);
                Write(elements.Slice(i * size, size), shape[1..]);
            }
            text.Append(']');
        }
    }
}
