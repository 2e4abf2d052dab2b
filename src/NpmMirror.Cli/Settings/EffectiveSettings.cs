using NpmMirror.Options;

namespace NpmMirror.Cli.Settings;

/// <summary>The options in force: flags before environment before file before defaults, with where each came from.</summary>
internal sealed class EffectiveSettings
{
    private readonly Dictionary<string, string> _origins;

    private EffectiveSettings(MirrorOptions options, Dictionary<string, string> origins)
    {
        Options = options;
        _origins = origins;
    }

    /// <summary>The options.</summary>
    public MirrorOptions Options { get; }

    /// <summary>Whether the option was given rather than left to its default.</summary>
    public bool IsGiven(string name) => _origins.ContainsKey(name);

    /// <summary>Where an option's value came from.</summary>
    public string OriginOf(string name) => _origins.GetValueOrDefault(name, name == "upstream" ? "npm's own configuration" : "default");

    /// <summary>Reads all layers. All faults are found at once; with any, the settings must not be used.</summary>
    public static (EffectiveSettings Settings, IReadOnlyList<string> Faults) Load(IEnumerable<string> flagTokens)
    {
        var faults = new List<string>();
        var flags = FlagReader.Read(flagTokens, faults).ToList();
        var environment = SettingLayers.ReadEnvironment().ToList();

        // The file's own name is the one setting that a file cannot hold.
        var named = (flags.LastOrDefault(IsFileName) ?? environment.LastOrDefault(IsFileName))?.Value;
        flags.RemoveAll(IsFileName);
        environment.RemoveAll(IsFileName);
        var path = named ?? (File.Exists(SettingLayers.DefaultFile) ? SettingLayers.DefaultFile : null);
        var file = path is null ? [] : SettingLayers.ReadFile(path, faults);

        var options = new MirrorOptions();
        var origins = SettingsBinder.Bind([flags, environment, file], options, faults);
        faults.AddRange(MirrorOptionsValidator.FindFaults(options));
        if (StoreFault(options) is { } storeFault)
        {
            faults.Add(storeFault);
        }

        if (faults.Count == 0 && options.TakeCouch() is (true, var isUpstream))
        {
            origins["feed"] = origins.GetValueOrDefault("couch.host", "couch.host");
            if (isUpstream)
            {
                origins.TryAdd("upstream", origins["feed"]);
            }
        }

        return (new EffectiveSettings(options, origins), faults);
    }

    /// <summary>Every option as text, secrets hidden, with where it came from.</summary>
    public IEnumerable<(string Name, string Value, string Origin)> Describe() =>
        OptionDefinition.All.SelectMany(option => option.IsFree
            ? ((IDictionary<string, string>)option.Get(Options)!).OrderBy(pair => pair.Key, StringComparer.OrdinalIgnoreCase)
                .Select(pair => ($"{option.Name}.{pair.Key}", Masked.IsSecretName(pair.Key) ? Masked.Secret : Masked.Address(pair.Value), OriginOf(Setting.KeyOf($"{option.Name}.{pair.Key}"))))
            : [(option.Name, Show(option), OriginOf(option.Name))]);

    private static string? StoreFault(MirrorOptions options)
    {
        if (options.Store is { Engine: not null, Module: not null } || (options.Store.Module is null && string.IsNullOrWhiteSpace(options.Data)))
        {
            return null; // Told by the validator.
        }

        try
        {
            // Making a store reads and writes nothing, but the engine checks its own options.
            Setup.CreateStore(options, Microsoft.Extensions.Logging.Abstractions.NullLoggerFactory.Instance);
            return null;
        }
        catch (MirrorException fault) when (fault.Fault == MirrorFault.Configuration)
        {
            return fault.Message;
        }
    }

    private static bool IsFileName(Setting setting) => setting.Key == "config";

    private string Show(OptionDefinition option)
    {
        var value = option.Get(Options);
        return value is not null && option.IsSecret ? Masked.Secret : Masked.Address(OptionValue.Format(option, value));
    }
}
