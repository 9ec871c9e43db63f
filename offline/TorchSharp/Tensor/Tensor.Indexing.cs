// Indexing: tensor[...], and operators that select, gather and scatter by index.
namespace TorchSharp;

public static partial class torch
{
    public partial class Tensor
    {
        public Tensor this[params TensorIndex[] indices]
        {
            get => IndexGet([this, .. indices.Select(static index => index.Value)]);
            set => IndexPut([this, value, .. indices.Select(static index => index.Value)]);
        }

        public Tensor this[params Tensor[] indices]
        {
            get => IndexGet([this, .. indices]);
            set => IndexPut([this, value, .. indices]);
        }

        public Tensor this[long i1]
        {
            get => IndexGet(this, i1);
            set => IndexPut(this, value, i1);
        }

        public Tensor this[long i1, long i2]
        {
            get => IndexGet(this, i1, i2);
            set => IndexPut(this, value, i1, i2);
        }

        public Tensor this[long i1, long i2, long i3]
        {
            get => IndexGet(this, i1, i2, i3);
            set => IndexPut(this, value, i1, i2, i3);
        }

        public Tensor this[long i1, long i2, long i3, long i4]
        {
            get => IndexGet(this, i1, i2, i3, i4);
            set => IndexPut(this, value, i1, i2, i3, i4);
        }

        public Tensor this[params long[] indices]
        {
            get => IndexGet([this, .. indices]);
            set => IndexPut([this, value, .. indices]);
        }

        public Tensor index(params TensorIndex[] indices) => this[indices];
        public Tensor index(params Tensor[] indices) => this[indices];

        public Tensor index_put_(Tensor value, params TensorIndex[] indices)
        {
            this[indices] = value;
            return this;
        }

        public Tensor index_put_(Tensor value, params Tensor[] indices)
        {
            this[indices] = value;
            return this;
        }

        public Tensor index_put_(Scalar value, params TensorIndex[] indices)
        {
            using Tensor tensor = full([], value, dtype, device);
            return index_put_(tensor, indices);
        }

        public Tensor index_put_(Scalar value, params Tensor[] indices)
        {
            using Tensor tensor = full([], value, dtype, device);
            return index_put_(tensor, indices);
        }

        public Tensor select(long dim, long index) => Call("select.int", this, dim, index);
        public Tensor narrow(long dim, long start, long length) => Call("narrow", this, dim, start, length);
        public Tensor slice(long dim, long start, long finish, long step) => Call("slice.Tensor", this, dim, start, finish, step);

        public Tensor index_select(long dim, Tensor index) => Call("index_select", this, dim, index);
        public Tensor index_add(long dim, Tensor index, Tensor source, Scalar alpha) => Call("index_add", this, dim, index, source, alpha);
        public Tensor index_add_(long dim, Tensor index, Tensor source, Scalar alpha) =>
            CallInPlace("index_add_", this, dim, index, source, alpha);
        public Tensor index_copy(long dim, Tensor index, Tensor source) => Call("index_copy", this, dim, index, source);
        public Tensor index_copy_(long dim, Tensor index, Tensor source) => CallInPlace("index_copy_", this, dim, index, source);
        public Tensor index_fill(long dim, Tensor index, Scalar value) => Call("index_fill.int_Scalar", this, dim, index, value);
        public Tensor index_fill_(long dim, Tensor index, Scalar value) => CallInPlace("index_fill_.int_Scalar", this, dim, index, value);
        public Tensor gather(long dim, Tensor index) => Call("gather", this, dim, index);
        public Tensor scatter(long dim, Tensor index, Tensor src) => Call("scatter.src", this, dim, index, src);
        public Tensor scatter_(long dim, Tensor index, Tensor src) => CallInPlace("scatter_.src", this, dim, index, src);
        public Tensor scatter_add(long dim, Tensor index, Tensor src) => Call("scatter_add", this, dim, index, src);
        public Tensor scatter_add_(long dim, Tensor index, Tensor src) => CallInPlace("scatter_add_", this, dim, index, src);
        public Tensor take(Tensor index) => Call("take", this, index);
        public Tensor take_along_dim(Tensor indices) => Call("take_along_dim", this, indices);
        public Tensor take_along_dim(Tensor indices, long dim) => Call("take_along_dim", this, indices, dim);

        public Tensor masked_fill(Tensor mask, Scalar value) => Call("masked_fill.Scalar", this, mask, value);
        public Tensor masked_fill_(Tensor mask, Scalar value) => CallInPlace("masked_fill_.Scalar", this, mask, value);
        public Tensor masked_scatter(Tensor mask, Tensor value) => Call("masked_scatter", this, mask, value);
        public Tensor masked_scatter_(Tensor mask, Tensor value) => CallInPlace("masked_scatter_", this, mask, value);
        public Tensor masked_select(Tensor mask) => Call("masked_select", this, mask);
        public Tensor nonzero() => Call("nonzero", this);
        public Tensor argwhere() => Call("argwhere", this);
        public IList<Tensor> nonzero_as_list() => CallList("nonzero_numpy", this);
    }
}
