// One index of tensor[...]: a position, a range, an ellipsis, a new dimension, a truth value, or a tensor of positions or truth values.
namespace TorchSharp;

public static partial class torch
{
    public struct TensorIndex
    {
        public static TensorIndex Colon = Slice();
        public static TensorIndex Ellipsis = new("...");
        public static TensorIndex None = default;
        public static TensorIndex Null = default;

        private TensorIndex(Arg value) => Value = value;

        internal Arg Value { get; }

        public static implicit operator TensorIndex(long value) => new(value);
        public static implicit operator TensorIndex(Index index) => new(Position(index));
        public static implicit operator TensorIndex(Range range) => Slice(range);
        public static implicit operator TensorIndex((int? start, int? end) range) => Slice(range);

        public static TensorIndex Bool(bool value) => new(value);

        public static TensorIndex Single(long? index) => new(index);

        public static TensorIndex Tensor(Tensor tensor) => new(tensor);

        public static TensorIndex Slice(long? start = null, long? stop = null, long? step = null) =>
            new(new[] { start ?? 0, stop ?? long.MaxValue, step ?? 1 });

        public static TensorIndex Slice((int? start, int? end) range) => Slice(range.start, range.end);

        public static TensorIndex Slice(Range range) =>
            Slice(Position(range.Start), range.End.Equals(Index.End) ? null : Position(range.End));

        private static long Position(Index index) => index.IsFromEnd ? -index.Value : index.Value;
    }
}
