// What belongs to the whole process: tested with no other test beside.
using System.Runtime.InteropServices;
using static TorchSharp.Tests.Expect;

namespace TorchSharp.Tests;

[CollectionDefinition(nameof(ProcessTests), DisableParallelization = true)]
[Collection(nameof(ProcessTests))]
public class ProcessTests
{
    [Fact]
    public void A_seed_makes_random_numbers_repeat()
    {
        var seeds = new Func<long, Generator>[] { manual_seed, random.manual_seed,
            seed => { cuda.manual_seed(seed); return manual_seed(seed); } };
        foreach (var seed in seeds)
        {
            Assert.Same(Generator.Default, seed(7));
            var first = randn(3);
            seed(7);
            Equal(Values(first), randn(3));
            Assert.Equal(7, initial_seed());
        }
    }

    [Fact]
    public void The_state_of_the_random_numbers_can_be_kept_and_restored()
    {
        var state = get_rng_state();
        var first = rand(3);
        set_rng_state(state);
        Equal(Values(first), rand(3));
        random.set_rng_state(state);
        Equal(Values(first), rand(3));
        Assert.Equal(random.initial_seed(), Generator.Default.initial_seed());
        Assert.Equal(state.shape, random.get_rng_state().shape);
    }

    [Fact]
    public void New_tensors_have_the_default_element_type()
    {
        Assert.Equal(float32, get_default_dtype());
        set_default_dtype(float64);
        try
        {
            Assert.Equal(float64, zeros(1).dtype);
            Assert.Equal(float64, nn.Linear(1, 1).weight.dtype);
        }
        finally
        {
            set_default_dtype(float32);
        }
    }

    [Fact]
    public void Threads_can_be_counted_and_set()
    {
        int before = get_num_threads();
        set_num_threads(2);
        Assert.Equal(2, get_num_threads());
        set_num_threads(before);
        Assert.True(get_num_interop_threads() >= 1);
        set_num_interop_threads(2);
        Assert.Equal(2, get_num_interop_threads());
        Assert.Throws<ExternalException>(() => set_num_interop_threads(3));
    }
}
