using NpmMirror.Options;

namespace NpmMirror.Cli.Settings;

/// <summary>Puts given settings into <see cref="MirrorOptions"/>; an invalid one becomes a fault with a right value.</summary>
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
        var where = origin == "--" + name ? "" : $" (from {origin})";
        return $"{MirrorException.Quote(name)}{where} is not an option; {Hint(name)}";
    }

    private static string Hint(string name)
    {
        if (OtherTools.OptionFor(name) is { } here)
        {
            return $"here it is {here}.";
        }

        var nearest = Nearest.Find(name, OptionDefinition.All.Where(option => !option.IsFree).Select(option => option.Name), Setting.KeyOf);
        return nearest is null ? "npm-mirror --help lists them all." : $"did you mean {nearest}?";
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
}
