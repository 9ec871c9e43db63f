namespace Microsoft.ML.SparseCtr.Tests;

public class ColumnReaderTests
{
    [Theory]
    [InlineData("2024-01-01T23:59:59.9999999", 1_704_153_599)]
    [InlineData("2024-01-02T00:00:00.0000000", 1_704_153_600)]
    [InlineData("1969-12-31T23:59:59.9999999", -1)]
    [InlineData("1969-12-31T23:59:59.0000000", -1)]
    public void Parts_of_a_second_are_cut_off_to_the_last_tick(string time, long expected)
        => Assert.Equal(expected, ColumnReader.UnixSeconds(DateTime.Parse(time, System.Globalization.CultureInfo.InvariantCulture)));
}
