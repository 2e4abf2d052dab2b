namespace NpmMirror.Cli.Settings;

/// <summary>Puts given settings into <see cref="MirrorOptions"/>; what does not fit becomes a fault with what would be right.</summary>
internal static class SettingsBinder
{
    private static readonly Dictionary<string, OptionDefinition> ByKey = OptionDefinition.All.ToDictionary(option => Setting.KeyOf(option.Name));

    /// <summary>The option of this key, or the free option that the key lies below; null when there is none.</summary>
    public static OptionDefinition? Find(string key) =>
        ByKey.TryGetValue(key, out var option) && !option.IsFree
            ? option
            : OptionDefinition.All.FirstOrDefault(free => free.IsFree && key.StartsWith(Setting.KeyOf(free.Name) + ".", StringComparison.Ordinal));

    /// <summary>Binds layers, the most important first: an option's value comes from the first layer that has it.</summary>
    public static Dictionary<string, string> Bind(IEnumerable<IReadOnlyList<Setting>> layers, MirrorOptions options, ICollection<string> faults)
    {
        var origins = new Dictionary<string, string>(StringComparer.Ordinal);
        foreach (var layer in layers)
        {
            foreach (var given in layer.GroupBy(setting => setting.Key, StringComparer.Ordinal))
            {
                if (Find(given.Key) is not { } option)
                {
                    faults.Add(DescribeUnknown(given.First().Name, given.First().Origin));
                }
                else if (origins.TryAdd(option.IsFree ? given.Key : option.Name, given.First().Origin))
                {
                    BindOne(option, [.. given], options, faults);
                }
            }
        }

        return origins;
    }

    /// <summary>Says that there is no such option, and which one may have been meant.</summary>
    public static string DescribeUnknown(string name, string origin)
    {
        var nearest = OptionDefinition.All.Where(option => !option.IsFree)
            .Select(option => (option.Name, Distance: Distance(Setting.KeyOf(name), Setting.KeyOf(option.Name))))
            .MinBy(candidate => candidate.Distance);
        var where = origin == "--" + name ? "" : $" (from {origin})";
        var isNear = nearest.Distance <= Math.Max(2, name.Length / 3);
        return $"{MirrorException.Quote(name)}{where} is not an option; {(isNear ? $"did you mean {nearest.Name}?" : "npm-mirror config lists them all.")}";
    }

    private static void BindOne(OptionDefinition option, IReadOnlyList<Setting> given, MirrorOptions options, ICollection<string> faults)
    {
        if (option.IsList)
        {
            var list = (IList<string>)option.Get(options)!;
            foreach (var item in given.SelectMany(setting => setting.Value.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries)))
            {
                list.Add(item);
            }

            return;
        }

        if (given.Count > 1)
        {
            faults.Add($"{option.Name} is given {given.Count} times (from {string.Join(", ", given.Select(setting => setting.Origin).Distinct())}); give it once.");
        }
        else if (option.IsFree)
        {
            var skipped = given[0].Key.Split('.').Length - option.Name.Split('.').Length;
            var name = string.Join('.', given[0].Name.Split('.')[^skipped..]);
            ((IDictionary<string, string>)option.Get(options)!)[name] = given[0].Value;
        }
        else if (OptionValue.TryParse(option, given[0].Value, out var value, out var wanted))
        {
            option.Set(options, value);
        }
        else
        {
            var shown = option.IsSecret ? Masked.Secret : MirrorException.Quote(Masked.Address(given[0].Value));
            faults.Add($"{option.Name} is {shown} (from {given[0].Origin}); give {wanted}.");
        }
    }

    /// <summary>How many letters must be changed, added, dropped or swapped with their neighbour.</summary>
    private static int Distance(string left, string right)
    {
        var distances = new int[left.Length + 1, right.Length + 1];
        for (var i = 0; i <= left.Length; i++)
        {
            for (var j = 0; j <= right.Length; j++)
            {
                distances[i, j] = i == 0 || j == 0
                    ? i + j
                    : Math.Min(Math.Min(distances[i - 1, j], distances[i, j - 1]) + 1, distances[i - 1, j - 1] + (left[i - 1] == right[j - 1] ? 0 : 1));
                if (i > 1 && j > 1 && left[i - 1] == right[j - 2] && left[i - 2] == right[j - 1])
                {
                    distances[i, j] = Math.Min(distances[i, j], distances[i - 2, j - 2] + 1);
                }
            }
        }

        return distances[left.Length, right.Length];
    }
}
