using System.Globalization;
using System.Security;
using System.Text;
using static System.FormattableString;

namespace Microsoft.ML.SparseCtr.Benchmarks;

/// <summary>A point, and how far its measurements scatter.</summary>
internal sealed record ChartPoint(double X, double Y, double Deviation);

/// <summary>Points to connect, and their name.</summary>
internal sealed record ChartSeries(string Name, ChartPoint[] Points);

/// <summary>
/// Draws lines over a logarithmic x axis as an SVG without fonts, scripts or a background. Its colors are of middle brightness, so that it reads on
/// light pages and on dark ones.
/// </summary>
internal sealed class LineChart(string title, string xLabel, string yLabel, IReadOnlyList<ChartSeries> series)
{
    private const int Width = 720, Height = 420, Left = 70, Right = 160, Top = 40, Bottom = 55;
    private const string Gray = "#808080";

    /// <summary>From Okabe and Ito's palette, which most color-blind readers can tell apart.</summary>
    private static readonly string[] s_colors = ["#d55e00", "#0090d0", "#cc79a7", "#009e73"];

    private readonly ChartPoint[] _points = [.. series.SelectMany(one => one.Points)];
    private readonly StringBuilder _svg = new();
    private double _minX, _maxX, _minY, _maxY;

    public string ToSvg()
    {
        (_minX, _maxX) = (_points.Min(point => point.X) / 1.2, _points.Max(point => point.X) * 1.2);
        (double low, double high) = (_points.Min(point => point.Y - point.Deviation), _points.Max(point => point.Y + point.Deviation));
        double step = NiceStep(Math.Max(high - low, 1e-3) / 5);
        (_minY, _maxY) = (step * Math.Floor(low / step - 0.2), step * Math.Ceiling(high / step + 0.2));

        _svg.Clear();
        Add($"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {Width} {Height}" width="{Width}" height="{Height}" font-family="sans-serif" font-size="12" fill="{Gray}">""");
        Text(Left + (Width - Left - Right) / 2.0, Top - 18, "middle", title, """ font-size="14" font-weight="bold" """);
        XAxis();
        YAxis(step);
        for (int i = 0; i < series.Count; i++)
            Draw(series[i], s_colors[i % s_colors.Length], place: i);
        Add($"</svg>");
        return _svg.ToString();
    }

    private void XAxis()
    {
        // Over few decades, marks between them too.
        int[] digits = _maxX / _minX < 1_000 ? [1, 2, 5] : [1];
        for (double decade = Math.Pow(10, Math.Floor(Math.Log10(_minX))); decade <= _maxX; decade *= 10)
        {
            foreach (double mark in digits.Select(digit => digit * decade).Where(mark => mark >= _minX && mark <= _maxX))
            {
                Line(X(mark), Top, X(mark), Height - Bottom, Gray, """ stroke-opacity="0.25" """);
                Text(X(mark), Height - Bottom + 18, "middle", Short(mark));
            }
        }
        Line(Left, Height - Bottom, Width - Right, Height - Bottom, Gray);
        Text(Left + (Width - Left - Right) / 2.0, Height - 12, "middle", xLabel);
    }

    private void YAxis(double step)
    {
        int decimals = Math.Max(0, (int)Math.Ceiling(-Math.Log10(step) - 1e-9));
        for (long i = (long)Math.Round(_minY / step); i * step <= _maxY + step / 2; i++)
        {
            Line(Left, Y(i * step), Width - Right, Y(i * step), Gray, """ stroke-opacity="0.25" """);
            Text(Left - 8, Y(i * step) + 4, "end", (i * step).ToString("F" + decimals, CultureInfo.InvariantCulture));
        }
        Line(Left, Top, Left, Height - Bottom, Gray);
        double middle = (Top + Height - Bottom) / 2.0;
        Text(18, middle, "middle", yLabel, Invariant($""" transform="rotate(-90 18 {middle:0.#})" """));
    }

    private void Draw(ChartSeries one, string color, int place)
    {
        string path = string.Join(' ', one.Points.Select(point => Invariant($"{X(point.X):0.#},{Y(point.Y):0.#}")));
        Add($"""<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>""");
        foreach (ChartPoint point in one.Points)
        {
            if (point.Deviation > 0)
                Line(X(point.X), Y(point.Y - point.Deviation), X(point.X), Y(point.Y + point.Deviation), color, """ stroke-width="1.5" """);
            Add($"""<circle cx="{X(point.X):0.#}" cy="{Y(point.Y):0.#}" r="3.5" fill="{color}"/>""");
        }
        double legendX = Width - Right + 16, legendY = Top + 12 + 20 * place;
        Line(legendX, legendY, legendX + 20, legendY, color, """ stroke-width="2" """);
        Add($"""<circle cx="{legendX + 10}" cy="{legendY}" r="3.5" fill="{color}"/>""");
        Text(legendX + 26, legendY + 4, "start", one.Name);
    }

    private double X(double value) => Left + (Width - Left - Right) * Math.Log(value / _minX) / Math.Log(_maxX / _minX);

    private double Y(double value) => Height - Bottom - (Height - Top - Bottom) * (value - _minY) / (_maxY - _minY);

    private void Line(double x1, double y1, double x2, double y2, string color, string more = "")
        => Add($"""<line x1="{x1:0.#}" y1="{y1:0.#}" x2="{x2:0.#}" y2="{y2:0.#}" stroke="{color}"{more.TrimEnd()}/>""");

    private void Text(double x, double y, string anchor, string text, string more = "")
        => Add($"""<text x="{x:0.#}" y="{y:0.#}" text-anchor="{anchor}"{more.TrimEnd()}>{SecurityElement.Escape(text)}</text>""");

    private void Add(FormattableString element) => _svg.Append(Invariant(element)).Append('\n');

    /// <summary>1, 2 or 5 times a power of ten.</summary>
    private static double NiceStep(double step)
    {
        double power = Math.Pow(10, Math.Floor(Math.Log10(step)));
        return power * (step / power <= 1 ? 1 : step / power <= 2 ? 2 : step / power <= 5 ? 5 : 10);
    }

    private static string Short(double value) => value switch
    {
        >= 1e9 => Invariant($"{value / 1e9:0.##}G"),
        >= 1e6 => Invariant($"{value / 1e6:0.##}M"),
        >= 1e4 => Invariant($"{value / 1e3:0.##}k"),
        _ => Invariant($"{value:#,0.##}"),
    };
}
