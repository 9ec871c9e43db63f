using System.Globalization;
using System.Text;
using Microsoft.ML.SparseCtr;

namespace SparseCtr.Samples;

/// <summary>
/// Reads MovieLens 100K (F. M. Harper and J. A. Konstan, 2015): a rating of 4 or 5 counts as a click, the ratings are the history's actions.
/// Get it from grouplens.org/datasets/movielens/100k; its license forbids passing it on.
/// </summary>
internal static class MovieLens
{
    /// <summary>Reads a folder with ml-100k.inter, ml-100k.user and ml-100k.item, or with GroupLens's u.data, u.user and u.item.</summary>
    /// <exception cref="FileNotFoundException">The folder has neither.</exception>
    /// <exception cref="FormatException">A line is not what it should be: the message names the file and the line.</exception>
    public static ClickData Load(string folder)
    {
        bool isOriginal = File.Exists(Path.Combine(folder, "u.data"));
        string ratings = Path.Combine(folder, isOriginal ? "u.data" : "ml-100k.inter");
        if (!File.Exists(ratings))
        {
            throw new FileNotFoundException(
                $"'{Path.GetFullPath(folder)}' has neither ml-100k.inter nor u.data: MovieLens 100K comes from grouplens.org/datasets/movielens/100k", ratings);
        }
        Dictionary<int, int[]> users = isOriginal
            ? Read(folder, "u.user", '|', header: false, fields => UserFacts(age: fields[1], gender: fields[2], occupation: fields[3]))
            : Read(folder, "ml-100k.user", '\t', header: true, fields => UserFacts(age: fields[1], gender: fields[2], occupation: fields[3]));
        Dictionary<int, Film> films = isOriginal
            ? Read(folder, "u.item", '|', header: false, fields => FilmOf(year: fields[2].Length >= 4 ? fields[2][^4..] : "", OriginalGenres(fields)))
            : Read(folder, "ml-100k.item", '\t', header: true, fields => FilmOf(year: fields[2], fields[3].Split(' ')));

        var log = new List<Impression>();
        ForEachLine(ratings, '\t', header: !isOriginal, fields =>
        {
            Film film = films[Number(fields[1])];
            float rating = float.Parse(fields[2], CultureInfo.InvariantCulture);
            log.Add(new Impression
            {
                Timestamp = long.Parse(fields[3], CultureInfo.InvariantCulture),
                User = Number(fields[0]),
                Item = Number(fields[1]),
                Category = film.Category,
                Age = film.Age,
                Tags = film.Genres,
                UserFacts = users[Number(fields[0])],
                Action = rating,
            });
        });
        return ClickData.Create("MovieLens 100K", log, Tune, leastClick: 4);
    }

    /// <summary>By the validation rows a third pass gains nothing.</summary>
    private static void Tune(CtrTrainerOptions options) => options.NumberOfEpochs = 2;

    private sealed record Film(int[] Genres, int Category, int Age);

    internal static readonly string[] OriginalGenreNames =
    [
        "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy", "Film-Noir", "Horror",
        "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
    ];

    private static IEnumerable<string> OriginalGenres(string[] fields) => OriginalGenreNames.Where((_, i) => fields[5 + i] == "1");

    private static Film FilmOf(string year, IEnumerable<string> genres)
    {
        int[] tags = genres.Where(genre => genre.Length > 0).Select(genre => StableHash(genre)).Order().ToArray();
        return new Film(tags, Category: StableHash(string.Join(' ', tags)), Age: YearClass(year));
    }

    /// <summary>Decades, half decades from 1980, years from 1990; 0 where the year is unknown.</summary>
    private static int YearClass(string text) => !int.TryParse(text, CultureInfo.InvariantCulture, out int year) ? 0
        : year >= 1990 ? year
        : year >= 1980 ? year / 5 * 5
        : Math.Max(1940, year / 10 * 10);

    private static int[] UserFacts(string age, string gender, string occupation)
        => [StableHash("age " + Number(age) / 10), StableHash("gender " + gender), StableHash("occupation " + occupation)];

    /// <summary>A number for a word, the same in every process (FNV-1a); the pipeline maps these to keys.</summary>
    private static int StableHash(string text)
    {
        uint hash = 2166136261;
        foreach (byte value in Encoding.UTF8.GetBytes(text))
            hash = (hash ^ value) * 16777619;
        return (int)(hash & int.MaxValue);
    }

    private static int Number(string text) => int.Parse(text, CultureInfo.InvariantCulture);

    private static Dictionary<int, T> Read<T>(string folder, string file, char separator, bool header, Func<string[], T> parse)
    {
        var result = new Dictionary<int, T>();
        ForEachLine(Path.Combine(folder, file), separator, header, fields => result[Number(fields[0])] = parse(fields));
        return result;
    }

    private static void ForEachLine(string path, char separator, bool header, Action<string[]> parse)
    {
        int number = 0;
        foreach (string line in File.ReadLines(path, Encoding.Latin1))
        {
            number++;
            if ((header && number == 1) || line.Length == 0)
                continue;
            try
            {
                parse(line.Split(separator));
            }
            catch (Exception problem) when (problem is FormatException or IndexOutOfRangeException or KeyNotFoundException or OverflowException)
            {
                throw new FormatException($"{path}, line {number}: {problem.Message}", problem);
            }
        }
    }
}
