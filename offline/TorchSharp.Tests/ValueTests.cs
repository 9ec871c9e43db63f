// Reductions, shapes, indexing, products and factories: values against results known by hand.
using static TorchSharp.Tests.Expect;
using F = TorchSharp.torch.nn.functional;

namespace TorchSharp.Tests;

public class ValueTests
{
    private static readonly double Inf = double.PositiveInfinity;

    /// <summary>[[1, 5, 2], [4, 3, 6]].</summary>
    private static Tensor X => M(2, 1, 5, 2, 4, 3, 6);

    private static Tensor Square => M(2, 1, 2, 3, 4);

    private static Tensor Batch => stack([Square, Square * 2]);

    public static readonly TheoryData<Row> Reductions =
    [
        new("sum", [], [21], () => X.sum(), () => sum(X), () => X.sum(0, 1), () => X.sum([0, 1])),
        new("sum of three", [], [12], () => ones(2, 3, 2).sum(0, 1, 2)),
        new("sum rows", [2], [8, 13], () => X.sum(1), () => sum(X, 1), () => X.sum([1L]), () => X.sum(stackalloc long[] { 1 }),
            () => sum(X, stackalloc long[] { 1 })),
        new("sum keepdim", [2, 1], [8, 13], () => X.sum(-1, keepdim: true)),
        new("sum as int", [], [21], () => X.sum(ScalarType.Int64)),
        new("nansum", [], [3], () => V(1, double.NaN, 2).nansum()),
        new("mean", [], [3.5], () => X.mean(), () => mean(X)),
        new("mean columns", [3], [2.5, 4, 4], () => X.mean([0L]), () => mean(X, [0L])),
        new("prod", [], [720], () => X.prod(), () => prod(X)),
        new("prod rows", [2], [10, 72], () => X.prod(1), () => prod(X, 1)),
        new("cumsum", [2, 3], [1, 6, 8, 4, 7, 13], () => X.cumsum(1), () => cumsum(X, 1)),
        new("cumprod", [2, 3], [1, 5, 10, 4, 12, 72], () => X.cumprod(1), () => cumprod(X, 1)),
        new("cummax", [3], [2, 2, 3], () => V(2, 1, 3).cummax(0).values),
        new("cummin", [3], [2, 1, 1], () => V(2, 1, 3).cummin(0).values),
        new("var", [], [3.5], () => X.var(), () => var(X)),
        new("var rows", [2], [26.0 / 9, 14.0 / 9], () => X.var(1, unbiased: false), () => X.var([1L], unbiased: false),
            () => var(X, 1, false), () => var(X, [1L], false), () => X.var(stackalloc long[] { 1 }, unbiased: false)),
        new("std", [], [Math.Sqrt(3.5)], () => X.std(), () => std(X)),
        new("std rows", [2], [Math.Sqrt(26.0 / 9), Math.Sqrt(14.0 / 9)], () => X.std(1, unbiased: false),
            () => X.std([1L], unbiased: false), () => std(X, 1, false), () => std(X, [1L], false),
            () => X.std(stackalloc long[] { 1 }, unbiased: false)),
        new("max", [], [6], () => X.max(), () => max(X), () => X.amax(), () => amax(X, [])),
        new("min", [], [1], () => X.min(), () => min(X), () => X.amin(), () => amin(X, [])),
        new("max rows", [2], [5, 6], () => X.max(1).values, () => max(X, 1).values, () => X.amax(1), () => amax(X, [1]),
            () => X.amax([1], @out: zeros(2, float64))),
        new("min rows", [2], [1, 3], () => X.min(1).values, () => min(X, 1).values, () => X.amin(1), () => amin(X, [1], false),
            () => X.amin(stackalloc long[] { 1 })),
        new("amax keepdim", [2, 1], [5, 6], () => X.amax([1], keepdim: true), () => amax(X, [1], keepdim: true),
            () => X.amax(stackalloc long[] { 1 }, true)),
        new("argmax", [], [5], () => X.argmax(), () => argmax(X)),
        new("argmax rows", [2], [1, 2], () => X.argmax(1), () => argmax(X, 1), () => X.max(1).indexes),
        new("argmin", [], [0], () => X.argmin(), () => argmin(X)),
        new("argmin rows", [2], [0, 1], () => X.argmin(1), () => argmin(X, 1), () => X.min(1).indexes),
        new("median", [], [3], () => X.median(), () => median(X)),
        new("kthvalue", [2], [2, 4], () => X.kthvalue(2, 1).values),
        new("quantile", [1], [3.5], () => X.flatten().quantile(V(0.5)), () => quantile(X.flatten(), V(0.5))),
        new("all", [], [0], () => (X > 1).all(), () => all(X > 1)),
        new("all rows", [2], [0, 1], () => (X > 1).all(1), () => all(X > 1, 1)),
        new("any", [], [1], () => (X > 5).any(), () => any(X > 5)),
        new("any rows", [2], [0, 1], () => (X > 5).any(1), () => any(X > 5, 1)),
        new("count_nonzero", [], [5], () => (X - 1).count_nonzero(), () => count_nonzero(X - 1)),
        new("count_nonzero rows", [2], [2, 3], () => (X - 1).count_nonzero([1])),
        new("norm", [], [5], () => V(3, 4).norm(), () => norm(V(3, 4)), () => V(3, 4).norm(2f), () => norm(V(3, 4), 2f)),
        new("norm rows", [2], [5, 13], () => M(2, 3, 4, 5, 12).norm(1), () => norm(M(2, 3, 4, 5, 12), 1)),
        new("norm 1", [], [7], () => V(3, -4).norm(1f)),
        new("logsumexp", [2], [Math.Log(Math.E + Math.Exp(2)), Math.Log(Math.Exp(3) + Math.Exp(4))], () => Square.logsumexp(1),
            () => logsumexp(Square, 1)),
        new("logcumsumexp", [2], [1, Math.Log(Math.E + Math.Exp(2))], () => V(1, 2).logcumsumexp(0), () => logcumsumexp(V(1, 2), 0)),
        new("softmax", [2], [0.25, 0.75], () => V(0, Math.Log(3)).softmax(0), () => softmax(V(0, Math.Log(3)), 0),
            () => F.softmax(V(0, Math.Log(3)), 0)),
        new("log_softmax", [2], [Math.Log(0.25), Math.Log(0.75)], () => V(0, Math.Log(3)).log_softmax(0),
            () => F.log_softmax(V(0, Math.Log(3)), 0)),
        new("topk", [2, 2], [5, 2, 6, 4], () => X.topk(2).values, () => topk(X, 2).values),
        new("topk indices", [2], [0, 2], () => V(1, 5, 2).topk(2, largest: false).indexes,
            () => topk(V(1, 5, 2), 2, largest: false).indices),
        new("sort", [2, 3], [1, 2, 5, 3, 4, 6], () => X.sort().Values, () => sort(X).Values),
        new("sort stable", [4], [1, 2, 3, 0], () => V(3, 1, 1, 1).sort(stable: true).Indices),
        new("argsort", [3], [1, 2, 0], () => V(1, 5, 2).argsort(descending: true), () => argsort(V(1, 5, 2), descending: true)),
        new("unique", [2], [1, 3], () => V(3, 1, 3).unique().output, () => unique(V(3, 1, 3)).output),
        new("unique inverse", [3], [1, 0, 1], () => V(3, 1, 3).unique(return_inverse: true).inverse_indices!),
        new("unique counts", [2], [1, 2], () => V(3, 1, 3).unique(return_counts: true).counts!),
        new("unique rows", [1, 2], [1, 2], () => M(2, 1, 2, 1, 2).unique(dim: 0).output),
        new("bincount", [4], [0, 2, 0, 1], () => I(1, 3, 1).bincount(null), () => bincount(I(1, 3, 1))),
        new("bucketize", [3], [0, 1, 2], () => V(0, 1.5, 9).bucketize(V(1, 2)), () => bucketize(V(0, 1.5, 9), V(1, 2)),
            () => searchsorted(V(1, 2), V(0, 1.5, 9))),
    ];

    public static readonly TheoryData<Row> Shapes =
    [
        new("view", [3, 2], [1, 5, 2, 4, 3, 6], () => X.view(3, 2), () => X.reshape(3, 2), () => reshape(X, 3, 2), () => X.view(-1, 2),
            () => X.view_as(zeros(3, 2))),
        new("flatten", [6], [1, 5, 2, 4, 3, 6], () => X.flatten(), () => flatten(X), () => X.ravel()),
        new("unflatten", [2, 1, 3], [1, 5, 2, 4, 3, 6], () => X.unflatten(1, 1, 3), () => X.unflatten(1, new Size([1, 3]))),
        new("squeeze", [3], [1, 5, 2], () => X[0].view(1, 3, 1).squeeze(), () => squeeze(X[0].view(1, 3, 1)),
            () => X[0].view(1, 3).squeeze(0), () => X[0].view(1, 3).squeeze_(0), () => X[0].view(1, 3).squeeze_()),
        new("unsqueeze", [2, 1], [3, 4], () => V(3, 4).unsqueeze(1), () => unsqueeze(V(3, 4), 1), () => V(3, 4).unsqueeze_(-1),
            () => V(3, 4)[.., TensorIndex.None]),
        new("expand", [2, 2], [3, 4, 3, 4], () => V(3, 4).expand(2, 2), () => V(3, 4).expand_as(zeros(2, 2)),
            () => V(3, 4).broadcast_to(2, 2), () => broadcast_to(V(3, 4), 2, 2), () => V(3, 4).expand(new Size([2, 2])),
            () => V(3, 4).expand(stackalloc long[] { 2, 2 }), () => V(3, 4).expand([2, -1], false),
            () => broadcast_tensors(V(3, 4), zeros(2, 2))[0]),
        new("as_strided", [2, 2], [1, 2, 2, 3], () => V(1, 2, 3).as_strided([2, 2], [1, 1]), () => V(1, 2, 3).unfold(0, 2, 1)),
        new("transpose", [3, 2], [1, 4, 5, 3, 2, 6], () => X.t(), () => t(X), () => X.transpose(0, 1), () => transpose(X, 0, 1),
            () => X.permute(1, 0), () => permute(X, 1, 0), () => X.T, () => X.mT, () => X.transpose_(0, 1), () => X.swapaxes(0, 1),
            () => X.swapdims(0, 1), () => X.permute(new List<long> { 1, 0 }), () => X.movedim([0], [1]), () => X.moveaxis([0], [1]),
            () => movedim(X, [0], [1])),
        new("contiguous", [3, 2], [1, 4, 5, 3, 2, 6], () => X.t().contiguous()),
        new("flip", [3], [3, 2, 1], () => V(1, 2, 3).flip(0), () => flip(V(1, 2, 3), 0)),
        new("roll", [3], [3, 1, 2], () => V(1, 2, 3).roll(1), () => roll(V(1, 2, 3), 1), () => V(1, 2, 3).roll([1], [0]),
            () => roll(V(1, 2, 3), [1], [0]), () => V(1, 2, 3).roll([1L])),
        new("tril", [2, 2], [1, 0, 3, 4], () => Square.tril(), () => tril(Square), () => Square.tril_()),
        new("triu", [2, 2], [0, 2, 0, 0], () => Square.triu(1), () => triu(Square, 1), () => Square.triu_(1)),
        new("diag", [2], [1, 4], () => Square.diag(), () => diag(Square), () => Square.diagonal(0, 0, 1)),
        new("diag_embed", [2, 2], [1, 0, 0, 2], () => V(1, 2).diag_embed(), () => V(1, 2).diag(), () => block_diag(M(1, 1), M(1, 2))),
        new("repeat", [4], [1, 2, 1, 2], () => V(1, 2).repeat(2), () => V(1, 2).tile([2]), () => tile(V(1, 2), [2])),
        new("repeat_interleave", [4], [1, 1, 2, 2], () => V(1, 2).repeat_interleave(2), () => repeat_interleave(V(1, 2), 2)),
        new("repeat_interleave by tensor", [3], [1, 2, 2], () => V(1, 2).repeat_interleave(I(1, 2)),
            () => repeat_interleave(V(1, 2), I(1, 2), 0)),
        new("split", [2, 1], [2, 6], () => X.split(2, 1)[1], () => X.split([2, 1], 1)[1], () => split(X, [2, 1], 1)[1],
            () => X.split(stackalloc long[] { 2, 1 }, 1)[1], () => X.chunk(2, 1)[1], () => chunk(X, 2, 1)[1], () => X.tensor_split(2, 1)[1],
            () => X.tensor_split([2], 1)[1]),
        new("split rows", [1, 3], [4, 3, 6], () => X.split(1, 1, 0)[1], () => X.split(1)[1]),
        new("unbind", [3], [4, 3, 6], () => X.unbind()[1], () => unbind(X, 0L)[1]),
        new("cat", [4], [1, 2, 3, 4], () => cat([V(1, 2), V(3, 4)]), () => concat([V(1, 2), V(3, 4)]),
            () => concatenate([V(1, 2), V(3, 4)]), () => hstack(V(1, 2), V(3, 4)), () => hstack(new List<Tensor> { V(1, 2), V(3, 4) })),
        new("stack", [2, 2], [1, 2, 3, 4], () => stack([V(1, 2), V(3, 4)]), () => vstack([V(1, 2), V(3, 4)]),
            () => stack([V(1, 3), V(2, 4)], 1)),
        new("meshgrid", [2, 2], [1, 1, 2, 2], () => meshgrid([V(1, 2), V(3, 4)])[0]),
        new("select", [3], [4, 3, 6], () => X.select(0, 1), () => select(X, 0, 1), () => X[1], () => X[-1]),
        new("narrow", [2, 2], [5, 2, 3, 6], () => X.narrow(1, 1, 2), () => narrow(X, 1, 1, 2), () => X.slice(1, 1, 3, 1), () => X[.., 1..],
            () => X[TensorIndex.Ellipsis, TensorIndex.Slice(1)], () => X[TensorIndex.Colon, TensorIndex.Slice(1, 3)],
            () => X[.., (1, null)], () => X[.., ^2..]),
    ];

    public static readonly TheoryData<Row> Indexing =
    [
        new("one element", [], [3], () => X[1, 1], () => X[new long[] { 1, 1 }], () => X[1, ^2], () => X[TensorIndex.Single(1), 1],
            () => X.view(1, 2, 3)[0, 1, 1], () => X.view(1, 1, 2, 3)[0, 0, 1, 1]),
        new("every second", [2], [1, 2], () => X[0, TensorIndex.Slice(step: 2)]),
        new("by positions", [2, 3], [4, 3, 6, 1, 5, 2], () => X[I(1, 0)], () => X.index(I(1, 0)), () => X[TensorIndex.Tensor(I(1, 0))],
            () => X.index_select(0, I(1, 0)), () => index_select(X, 0, I(1, 0))),
        new("by pairs", [2], [2, 4], () => X[I(0, 1), I(2, 0)], () => X.index(TensorIndex.Tensor(I(0, 1)), TensorIndex.Tensor(I(2, 0)))),
        new("column by positions", [2, 1], [5, 3], () => X[.., TensorIndex.Tensor(I(1))]),
        new("by mask", [3], [5, 4, 6], () => X[X > 3], () => X.masked_select(X > 3), () => masked_select(X, X > 3)),
        new("by truth", [1, 2], [1, 2], () => V(1, 2)[TensorIndex.Bool(true)]),
        new("gather", [2, 1], [5, 4], () => X.gather(1, I(1, 0).view(2, 1)), () => gather(X, 1, I(1, 0).view(2, 1)),
            () => X.take_along_dim(I(1, 0).view(2, 1), 1), () => take_along_dim(X, I(1, 0).view(2, 1), 1)),
        new("take", [2], [2, 6], () => X.take(I(2, 5)), () => take(X, I(2, 5)), () => X.take_along_dim(I(2, 5))),
        new("scatter", [3], [0, 8, 7], () => V(0, 0, 0).scatter(0, I(2, 1), V(7, 8)), () => scatter(V(0, 0, 0), 0, I(2, 1), V(7, 8)),
            () => V(0, 0, 0).scatter_(0, I(2, 1), V(7, 8)), () => scatter_(V(0, 0, 0), 0, I(2, 1), V(7, 8))),
        new("scatter_add", [3], [1, 2, 18], () => V(1, 2, 3).scatter_add(0, I(2, 2), V(7, 8)),
            () => scatter_add(V(1, 2, 3), 0, I(2, 2), V(7, 8)), () => V(1, 2, 3).scatter_add_(0, I(2, 2), V(7, 8)),
            () => scatter_add_(V(1, 2, 3), 0, I(2, 2), V(7, 8))),
        new("index_add", [3], [1, 2, 33], () => V(1, 2, 3).index_add(0, I(2, 2), V(7, 8), 2),
            () => index_add(V(1, 2, 3), 0, I(2, 2), V(7, 8), 2), () => V(1, 2, 3).index_add_(0, I(2, 2), V(7, 8), 2),
            () => index_add_(V(1, 2, 3), 0, I(2, 2), V(7, 8), 2)),
        new("index_copy", [3], [8, 2, 7], () => V(1, 2, 3).index_copy(0, I(2, 0), V(7, 8)),
            () => index_copy(V(1, 2, 3), 0, I(2, 0), V(7, 8)), () => V(1, 2, 3).index_copy_(0, I(2, 0), V(7, 8))),
        new("index_fill", [3], [9, 2, 9], () => V(1, 2, 3).index_fill(0, I(2, 0), 9), () => index_fill(V(1, 2, 3), 0, I(2, 0), 9),
            () => V(1, 2, 3).index_fill_(0, I(2, 0), 9), () => V(1, 2, 3).index_put_((Scalar)9, I(2, 0)),
            () => V(1, 2, 3).index_put_((Scalar)9, TensorIndex.Tensor(I(2, 0))), () => V(1, 2, 3).index_put_(V(9), I(2, 0)),
            () => V(1, 2, 3).index_put_(V(9), TensorIndex.Tensor(I(2, 0)))),
        new("masked_fill", [3], [0, 0, 3], () => V(1, 2, 3).masked_fill(V(1, 2, 3) < 3, 0),
            () => V(1, 2, 3).masked_fill_(V(1, 2, 3) < 3, 0)),
        new("masked_scatter", [3], [7, 2, 8], () => V(1, 2, 3).masked_scatter(B(1, 0, 1), V(7, 8)),
            () => V(1, 2, 3).masked_scatter_(B(1, 0, 1), V(7, 8))),
        new("nonzero", [2, 1], [0, 2], () => V(1, 0, 3).nonzero(), () => nonzero(V(1, 0, 3)), () => V(1, 0, 3).argwhere(),
            () => argwhere(V(1, 0, 3))),
        new("nonzero as list", [2], [0, 2], () => V(1, 0, 3).nonzero_as_list()[0], () => where(V(1, 0, 3) != 0)[0]),
    ];

    public static readonly TheoryData<Row> Products =
    [
        new("matmul", [2, 2], [7, 10, 15, 22], () => Square.matmul(Square), () => matmul(Square, Square), () => Square.mm(Square),
            () => mm(Square, Square), () => einsum("ij,jk->ik", Square, Square), () => Square.tensordot(Square, [1], [0]),
            () => tensordot(Square, Square, [1], [0])),
        new("batched", [2, 2, 2], [7, 10, 15, 22, 28, 40, 60, 88], () => Batch.bmm(Batch), () => bmm(Batch, Batch),
            () => Batch.matmul(Batch), () => einsum("bij,bjk->bik", Batch, Batch)),
        new("mv", [2], [5, 11], () => Square.mv(V(1, 2)), () => mv(Square, V(1, 2)), () => Square.matmul(V(1, 2)),
            () => Square.inner(V(1, 2)), () => inner(Square, V(1, 2))),
        new("dot", [], [11], () => V(1, 2).dot(V(3, 4)), () => dot(V(1, 2), V(3, 4))),
        new("outer", [2, 2], [3, 4, 6, 8], () => V(1, 2).outer(V(3, 4)), () => outer(V(1, 2), V(3, 4))),
        new("addmm", [2, 2], [14.5, 21, 31.5, 46], () => Square.addmm(Square, Square, 0.5f, 2),
            () => addmm(Square, Square, Square, 0.5f, 2), () => Square.addmm_(Square, Square, 0.5f, 2)),
        new("addmv", [2], [6, 13], () => V(1, 2).addmv(Square, V(1, 2))),
        new("addr", [2, 2], [4, 6, 9, 12], () => Square.addr(V(1, 2), V(3, 4))),
        new("trace", [], [5], () => Square.trace(), () => trace(Square)),
        new("det", [], [-2], () => Square.det()),
        new("inverse", [2, 2], [-2, 1, 1.5, -0.5], () => Square.inverse()),
    ];

    public static readonly TheoryData<Row> Factories =
    [
        new("zeros", [2, 1], [0, 0], () => zeros(2, 1), () => zeros([2, 1]), () => zeros(stackalloc long[] { 2, 1 }),
            () => zeros_like(empty(2, 1)), () => full(2, 1, 0)),
        new("ones", [1, 1, 2], [1, 1], () => ones(1, 1, 2), () => ones([1, 1, 2]), () => ones(stackalloc long[] { 1, 1, 2 }),
            () => ones_like(empty(1, 1, 2))),
        new("four dimensions", [1, 1, 1, 2], [1, 1], () => ones(1, 1, 1, 2), () => full(1, 1, 1, 2, 1), () => zeros(1, 1, 1, 2) + 1,
            () => empty(1, 1, 1, 2).fill_(1)),
        new("full", [2], [7, 7], () => full(2, 7), () => full([2], 7), () => full(stackalloc long[] { 2 }, 7), () => full_like(empty(2), 7),
            () => empty_like(ones(2)).fill_(7)),
        new("full cube", [1, 2, 1], [7, 7], () => full(1, 2, 1, 7)),
        new("arange", [3], [0, 1, 2], () => arange(3), () => arange(0, 3), () => arange(0, 3, 1)),
        new("arange by fractions", [3], [1, 1.5, 2], () => arange(1, 2.5, 0.5)),
        new("linspace", [3], [0, 0.5, 1], () => linspace(0, 1, 3, float64)),
        new("logspace", [3], [1, 10, 100], () => logspace(0, 2, 3, dtype: float64)),
        new("eye", [2, 2], [1, 0, 0, 1], () => eye(2), () => eye(2, 2)),
        new("tril_indices", [2, 3], [0, 1, 1, 0, 0, 1], () => tril_indices(2, 2)),
        new("triu_indices", [2, 3], [0, 0, 1, 0, 1, 1], () => triu_indices(2, 2)),
    ];

    public static readonly TheoryData<Row> Functional =
    [
        new("linear", [1, 2], [6, 12], () => F.linear(M(1, 1, 2), Square, V(1, 1))),
        new("layer_norm", [2], [-1, 3], () => F.layer_norm(V(1, 3), [2], V(1, 2), V(0, 1), 0)),
        new("one_hot", [2, 3], [0, 1, 0, 1, 0, 0], () => F.one_hot(I(1, 0), 3)),
        new("cosine_similarity", [1], [0.6], () => F.cosine_similarity(M(1, 3, 4), M(1, 1, 0))),
        new("dropout in evaluation", [2], [1, 2], () => F.dropout(V(1, 2), 0.5, training: false),
            () => F.dropout(V(1, 2), 0.5, training: false, inplace: true)),
        new("bce with logits", [], [Math.Log(2)], () => F.binary_cross_entropy_with_logits(V(0, 0), V(1, 0))),
        new("bce with logits, weighted", [2], [3 * Math.Log(2), 2 * Math.Log(2)],
            () => F.binary_cross_entropy_with_logits(V(0, 0), V(1, 0), V(1, 2), nn.Reduction.None, V(3, 3))),
        new("bce", [], [-Math.Log(0.8) - Math.Log(0.7)], () => F.binary_cross_entropy(V(0.8, 0.3), V(1, 0), reduction: nn.Reduction.Sum)),
        new("cross_entropy", [], [-Math.Log(0.75)], () => F.cross_entropy(M(1, 0, Math.Log(3)), I(1))),
        new("mse_loss", [], [2.5], () => F.mse_loss(V(1, 2), V(2, 4))),
        new("huber_loss", [], [0.5], () => F.huber_loss(V(1), V(2))),
        new("kl_div", [], [0], () => F.kl_div(V(-1, -2), V(-1, -2))),
        new("attention", [2, 1], [0.75 * 4, 0.5 * 4],
            () => F.scaled_dot_product_attention(V(1, 0).view(2, 1), V(Math.Log(3), 0).view(2, 1), V(4, 0).view(2, 1))),
        new("masked attention", [2, 1], [4, 0],
            () => F.scaled_dot_product_attention(V(1, 0).view(2, 1), V(1, 0).view(2, 1), V(4, 0).view(2, 1), B(1, 0, 0, 1).view(2, 2)),
            () => F.scaled_dot_product_attention(V(1, 0).view(2, 1), V(1, 0).view(2, 1), V(4, 0).view(2, 1), M(2, 0, -Inf, -Inf, 0))),
        new("causal attention", [2, 1], [4, 2],
            () => F.scaled_dot_product_attention(V(0, 0).view(2, 1), V(1, 0).view(2, 1), V(4, 0).view(2, 1), is_casual: true)),
    ];

    [Theory]
    [MemberData(nameof(Reductions))]
    [MemberData(nameof(Shapes))]
    [MemberData(nameof(Indexing))]
    [MemberData(nameof(Products))]
    [MemberData(nameof(Factories))]
    [MemberData(nameof(Functional))]
    public void Operators_give_known_results(Row row)
    {
        foreach (var form in row.Forms)
        {
            var actual = form();
            Assert.Equal(row.Shape, actual.shape);
            Equal(row.Expected, actual, 1e-6);
        }
    }

    [Fact]
    public void Parts_of_a_tensor_can_be_written()
    {
        var x = zeros(3, 3, float64);
        x[0] = V(1, 2, 3);
        x[1, 2] = V(9)[0];
        x[2, 1..] = V(4, 5);
        x[x > 4.5] = V(0);
        x[new long[] { 2, 0 }] = 7;
        x[I(1), I(0)] = V(8);
        Equal([1, 2, 3, 8, 0, 0, 7, 4, 0], x);
        var cube = zeros(1, 1, 2);
        cube[0, 0, 1] = 3;
        var four = zeros(1, 1, 1, 2);
        four[0, 0, 0, 1] = 3;
        Equal([0, 3], cube);
        Equal([0, 3], four);
    }

    [Fact]
    public void A_selected_part_shares_memory()
    {
        var x = zeros(2, 2, float64);
        x[1].add_(1);
        x.t()[0].mul_(5);
        Equal([0, 0, 5, 1], x);
    }

    public sealed record Row(string Name, long[] Shape, double[] Expected, params Func<Tensor>[] Forms)
    {
        public override string ToString() => Name;
    }
}
