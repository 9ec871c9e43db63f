// Dispose scopes own the tensors that are made in them.
namespace TorchSharp.Tests;

public class DisposeScopeTests
{
    [Fact]
    public void A_scope_disposes_what_was_made_in_it()
    {
        Tensor inside;
        var outside = ones(1);
        using (NewDisposeScope())
        {
            inside = outside + 1;
            Assert.True(CurrentDisposeScope!.Contains(inside));
        }
        Assert.True(inside.IsInvalid);
        Assert.False(outside.IsInvalid);
        Assert.Null(CurrentDisposeScope);
    }

    [Fact]
    public void Tensors_move_out_of_a_scope()
    {
        Tensor outer, detached, moved;
        using (var first = NewDisposeScope())
        {
            using (var second = NewDisposeScope())
            {
                outer = ones(1).MoveToOuterDisposeScope();
                detached = ones(1).DetachFromDisposeScope();
                moved = ones(1).MoveToOtherDisposeScope(first);
                Assert.Equal(0, second.DisposablesCount);
            }
            Assert.Equal(2, first.DisposablesCount);
            Assert.False(outer.IsInvalid || moved.IsInvalid);
        }
        Assert.True(outer.IsInvalid && moved.IsInvalid);
        Assert.False(detached.IsInvalid);
    }

    [Fact]
    public void A_scope_moves_detaches_and_attaches()
    {
        using var other = NewDisposeScope();
        using var scope = NewDisposeScope();
        var (a, b) = scope.MoveToOuter(ones(1), ones(1));
        var (c, d, e) = scope.Detach(ones(1), ones(1), ones(1));
        var f = scope.MoveToOther(other, ones(1));
        Assert.Equal((3, 0), (other.DisposablesCount, scope.DisposablesCount));
        scope.Attach(c, d, e);
        scope.Attach(f);
        Assert.Equal((2, 4), (other.DisposablesCount, scope.DisposablesCount));
        Assert.Equal([a, b], other.DisposablesView.Cast<object>());
    }

    [Fact]
    public void Everything_but_what_is_kept_can_be_disposed()
    {
        using var scope = NewDisposeScope();
        var (kept, dropped) = (ones(1), ones(1));
        scope.DisposeEverythingBut(kept);
        Assert.True(dropped.IsInvalid && !kept.IsInvalid);
        scope.DisposeEverything();
        Assert.True(kept.IsInvalid);
    }

    [Fact]
    public void A_disposed_tensor_leaves_its_scope()
    {
        using var scope = NewDisposeScope();
        ones(1).Dispose();
        Assert.Equal(0, scope.DisposablesCount);
    }

    [Fact]
    public void The_value_of_an_expression_outlives_what_it_is_made_of()
    {
        Tensor part = null!;
        var sum = WrappedTensorDisposeScope(() => (part = ones(2)).sum());
        Assert.True(part.IsInvalid && !sum.IsInvalid);
    }

    [Fact]
    public void Statistics_count_the_threads_tensors()
    {
        var statistics = DisposeScopeManager.Statistics;
        statistics.Reset();
        ones(1).Dispose();
        using (NewDisposeScope())
        {
            ones(1).Dispose();
            ones(1).DetachFromDisposeScope().Dispose();
            _ = ones(1);
            Assert.Equal(1, statistics.ThreadTotalLiveCount);
        }
        Assert.Equal((1, 3, 2, 1, 0), (statistics.CreatedOutsideScopeCount, statistics.CreatedInScopeCount,
            statistics.DisposedInScopeCount, statistics.DetachedFromScopeCount, statistics.ThreadTotalLiveCount));
    }

    [Fact]
    public void Scopes_of_threads_are_independent()
    {
        using var scope = NewDisposeScope();
        var thread = new Thread(() => ones(1).Dispose());
        thread.Start();
        thread.Join();
        Assert.Equal(0, scope.DisposablesCount);
    }
}
