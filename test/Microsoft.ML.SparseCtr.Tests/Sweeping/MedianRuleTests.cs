namespace Microsoft.ML.SparseCtr.Tests;

public class MedianRuleTests
{
    private static readonly (double[], int)[] s_others = [([0.6, 0.7, 0.8], 3), ([0.5, 0.6, 0.7], 3), ([0.4, 0.5, 0.9], 3), ([0.7], 3), ([0.9, 0.9], 2)];

    [Fact]
    public void A_trial_is_hopeless_once_half_of_the_others_were_better_by_then()
    {
        // The median of 0.4, 0.5, 0.6 and 0.7 is 0.55; after two epochs there are three others.
        Assert.True(After(0.54).IsHopeless);
        Assert.False(After(0.55).IsHopeless);
        Assert.False(After(0.56, 0.1).IsHopeless);
    }

    [Fact]
    public void The_last_epoch_stops_nothing_and_a_missing_validation_neither()
    {
        Assert.False(new MedianRule(s_others).IsHopeless(Epoch(3, 0.1)));
        Assert.False(new MedianRule(s_others).IsHopeless(Epoch(1, null)));
    }

    [Fact]
    public void An_AUC_of_rows_without_a_click_which_is_no_number_is_not_kept()
    {
        (MedianRule rule, bool isHopeless) = After(double.NaN);
        Assert.False(isHopeless);
        Assert.Empty(rule.Aucs);
    }

    [Fact]
    public void Fewer_than_four_others_stop_nothing() => Assert.False(new MedianRule(s_others[1..]).IsHopeless(Epoch(1, 0.1)));

    [Fact]
    public void What_a_trial_reached_is_kept()
    {
        (MedianRule rule, _) = After(0.56, 0.6);
        Assert.Equal([0.56, 0.6], rule.Aucs);
        Assert.Equal(3, rule.Epochs);
    }

    private static (MedianRule Rule, bool IsHopeless) After(params double[] aucs)
    {
        var rule = new MedianRule(s_others);
        bool isHopeless = aucs.Select((auc, i) => rule.IsHopeless(Epoch(i + 1, auc))).ToArray()[^1];
        return (rule, isHopeless);
    }

    private static TrainingProgress Epoch(int epoch, double? auc) => new(epoch, 3, 10, 10, 0.5, 100) { EpochCompleted = true, ValidationAuc = auc };
}
