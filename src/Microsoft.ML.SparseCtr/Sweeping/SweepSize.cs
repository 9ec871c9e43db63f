namespace Microsoft.ML.SparseCtr;

/// <summary>How many of a trainer's options a sweep searches; docs/automl.md lists them. The others stay as they are given.</summary>
public enum SweepSize
{
    /// <summary>How it learns: the learning rate and two dropouts. A dozen trials are enough to find something good.</summary>
    Quick,

    /// <summary>Besides, its sizes and what it sees of the history. Some dozens of trials.</summary>
    Standard,

    /// <summary>Every option that can be searched. A hundred trials and more.</summary>
    Thorough,
}
