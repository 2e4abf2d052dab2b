namespace NpmMirror.Cli.Settings;

/// <summary>One value as it was given: its word as spelled there, the value and where it came from.</summary>
/// <param name="Name">The dotted name as given.</param>
/// <param name="Value">The text given.</param>
/// <param name="Origin">For people: <c>--store.engine</c>, <c>NPM_MIRROR__STORE__ENGINE</c>, <c>npm-mirror.json</c>.</param>
internal sealed record Setting(string Name, string Value, string Origin)
{
    private const string OldEngineOptions = "store.engine.options.";
    private const string EngineOptions = "store.options.";

    /// <summary>The name as all spellings of it share it: <c>lastSeq</c>, <c>last-seq</c> and <c>LAST_SEQ</c> are one.</summary>
    public string Key => KeyOf(Name);

    /// <summary>The key of a dotted name.</summary>
    public static string KeyOf(string name)
    {
        var key = name.Replace("-", "", StringComparison.Ordinal).Replace("_", "", StringComparison.Ordinal).ToLowerInvariant();
        // The older tool's manual put the options below the engine.
        return key.StartsWith(OldEngineOptions, StringComparison.Ordinal) ? EngineOptions + key[OldEngineOptions.Length..] : key;
    }
}
