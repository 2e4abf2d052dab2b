using System.Text.Json;

namespace NpmMirror.Cli.Settings;

/// <summary>The places a setting may come from besides the command line: a JSON file and the environment.</summary>
internal static class SettingLayers
{
    /// <summary>The file that is read when no other is named.</summary>
    public const string DefaultFile = "npm-mirror.json";

    private const string EnvironmentPrefix = "NPM_MIRROR__";

    /// <summary>The settings of a JSON file.</summary>
    public static IReadOnlyList<Setting> ReadFile(string path, ICollection<string> faults)
    {
        if (!File.Exists(path))
        {
            faults.Add($"config is {MirrorException.Quote(path)}, which is not there; name a JSON file.");
            return [];
        }

        try
        {
            // A stream, because a file provider would neither see hidden files nor follow ".." out of its root.
            using var stream = File.OpenRead(path);
            return [.. Flatten(new ConfigurationBuilder().AddJsonStream(stream).Build()).Select(pair => new Setting(pair.Name, pair.Value, path))];
        }
        catch (Exception failure) when (failure is FormatException or JsonException or InvalidDataException)
        {
            var reason = (failure.InnerException ?? failure).Message;
            faults.Add($"{path} is not the JSON object of options it should be: {reason}");
        }
        catch (Exception failure) when (failure is IOException or UnauthorizedAccessException)
        {
            faults.Add($"{path} cannot be read: {failure.Message}");
        }

        return [];
    }

    /// <summary>The settings of the environment: <c>NPM_MIRROR__STORE__ENGINE</c>.</summary>
    public static IEnumerable<Setting> ReadEnvironment() =>
        Flatten(new ConfigurationBuilder().AddEnvironmentVariables(EnvironmentPrefix).Build())
            .Select(pair => new Setting(pair.Name, pair.Value, EnvironmentPrefix + pair.Name.Replace(".", "__", StringComparison.Ordinal)));

    private static IEnumerable<(string Name, string Value)> Flatten(IConfigurationRoot configuration) =>
        configuration.AsEnumerable()
            .Where(pair => pair.Value is not null)
            // An array's items are "list:0", "list:1": the same name again, as a repeated flag is.
            .OrderBy(pair => pair.Key, ConfigurationKeyComparer.Instance)
            .Select(pair => (string.Join('.', pair.Key.Split(':').Where(part => !part.All(char.IsAsciiDigit))), pair.Value!));
}
