using System.Globalization;

namespace NpmMirror.Testing;

/// <summary>The command line of <see cref="FakeUpstreamProgram"/>: its values, and all its faults, each with a right value.</summary>
internal sealed class FakeUpstreamArguments
{
    private readonly IReadOnlyList<Option> _options;

    private FakeUpstreamArguments() => _options =
    [
        new("--dir", "a folder that is there", text => Directory.Exists(Folder = text)),
        new("--lazy", null, _ => IsLazy = true),
        new("--prepare", null, _ => IsPrepared = true),
        new("--packages", "a whole number", text => IsWhole(text, int.MaxValue, number => PackageCount = number)),
        new("--port", "a whole number from 0 to 65535", text => IsWhole(text, 65_535, number => Port = number)),
        new("--feed", "couchdb, npm or none", IsFeed),
        new("--sequences", "number, text or array", text => !int.TryParse(text, out _) && Enum.TryParse<FakeSequenceStyle>(text, ignoreCase: true, out var style) && (Sequences = style) == style),
        new(
            "--changes",
            string.Create(CultureInfo.InvariantCulture, $"a number from 0 to {FakeLife.ChangesPerSecondMax}"),
            text => double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out var rate) && rate is >= 0 and < FakeLife.ChangesPerSecondMax && (ChangesPerSecond = rate) >= 0),
        .. FakeSetting.Of<FakeMishaps>().Select(mishap => new Option(mishap.Flag, mishap.Wanted, text => IsMishap(mishap, text))),
    ];

    public string? Folder { get; private set; }

    public bool IsLazy { get; private set; }

    public bool IsPrepared { get; private set; }

    public int PackageCount { get; private set; }

    public int Port { get; private set; }

    public FakeFeedDialect Feed { get; private set; } = FakeFeedDialect.CouchDb;

    public FakeSequenceStyle Sequences { get; private set; }

    public double ChangesPerSecond { get; private set; }

    /// <summary>Random faults, as given.</summary>
    public List<(FakeSetting Mishap, string Value)> Mishaps { get; } = [];

    /// <summary>All that is wrong, a sentence each.</summary>
    public List<string> Faults { get; } = [];

    /// <summary>Reads a command line; with any fault it must not be used.</summary>
    public static FakeUpstreamArguments Read(IReadOnlyList<string> args)
    {
        var arguments = new FakeUpstreamArguments();
        for (var i = 0; i < args.Count; i++)
        {
            // Both spellings of a flag: --port 80 and --port=80.
            var parts = args[i].Split('=', 2);
            if (arguments._options.FirstOrDefault(option => option.Flag == parts[0]) is not { } option)
            {
                arguments.Faults.Add($"“{parts[0]}” is not an option; there are {string.Join(", ", arguments._options.Select(known => known.Flag))}.");
                i += parts.Length == 1 && HasValue(args, i) ? 1 : 0;
            }
            else if (option.Wanted is null)
            {
                arguments.Check(parts.Length == 1 && option.Take(""), $"{option.Flag} takes no value.");
            }
            else if (parts.Length == 2 || HasValue(args, i))
            {
                var value = parts.Length == 2 ? parts[1] : args[++i];
                arguments.Check(option.Take(value), $"{option.Flag} is “{value}”; give {option.Wanted}.");
            }
            else
            {
                arguments.Faults.Add($"{option.Flag} has no value; give {option.Wanted}.");
            }
        }

        return arguments;
    }

    private static bool HasValue(IReadOnlyList<string> args, int flagAt) => flagAt + 1 < args.Count && !args[flagAt + 1].StartsWith("--", StringComparison.Ordinal);

    private void Check(bool isRight, string fault)
    {
        if (!isRight)
        {
            Faults.Add(fault);
        }
    }

    private bool IsFeed(string text)
    {
        Feed = text switch
        {
            "npm" => FakeFeedDialect.NpmPaged,
            "none" => FakeFeedDialect.None,
            _ => FakeFeedDialect.CouchDb,
        };
        return text is "couchdb" or "npm" or "none";
    }

    private bool IsMishap(FakeSetting mishap, string text)
    {
        Mishaps.Add((mishap, text));
        return mishap.TrySet(new FakeMishaps(), text);
    }

    private static bool IsWhole(string text, int most, Action<int> take)
    {
        var isWhole = int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number) && number <= most;
        if (isWhole)
        {
            take(number);
        }

        return isWhole;
    }

    /// <param name="Flag">As it is written.</param>
    /// <param name="Wanted">Its valid values, as the end of a sentence; null if it takes none.</param>
    /// <param name="Take">Takes a value; false if it is invalid.</param>
    private sealed record Option(string Flag, string? Wanted, Func<string, bool> Take);
}
