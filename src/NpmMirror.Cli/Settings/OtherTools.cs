namespace NpmMirror.Cli.Settings;

/// <summary>Words that people know from npm, Verdaccio and other registries, and their names here.</summary>
internal static class OtherTools
{
    private static readonly Dictionary<string, string> Options = new(StringComparer.Ordinal)
    {
        ["port"] = "--listen=PORT", ["p"] = "--listen=PORT", ["l"] = "--listen=PORT",
        ["host"] = "--listen=ADDRESS:PORT", ["bind"] = "--listen=ADDRESS:PORT", ["address"] = "--listen=ADDRESS:PORT",
        ["registry"] = "--upstream=URL", ["uplink"] = "--upstream=URL", ["uplinks"] = "--upstream=URL", ["remote"] = "--upstream=URL", ["r"] = "--upstream=URL",
        ["storage"] = "--data=FOLDER", ["cache"] = "--data=FOLDER", ["directory"] = "--data=FOLDER", ["dir"] = "--data=FOLDER", ["folder"] = "--data=FOLDER", ["d"] = "--data=FOLDER",
        ["c"] = "--config=FILE", ["baseurl"] = "--publicUrl=URL", ["urlprefix"] = "--publicUrl=URL", ["maxage"] = "--ttl=DURATION",
        ["loglevel"] = "--log.level=LEVEL", ["verbose"] = "--log.level=debug", ["quiet"] = "--log.level=warning", ["silent"] = "--log.level=error",
        ["token"] = "--admin.token=TOKEN", ["maxsockets"] = "--concurrency=NUMBER", ["trustproxy"] = "--trustedProxies=ADDRESS",
    };

    private static readonly Dictionary<string, string> Commands = new(StringComparer.Ordinal)
    {
        ["start"] = "npm-mirror serve starts the mirror.", ["run"] = "npm-mirror serve starts the mirror.", ["server"] = "npm-mirror serve starts the mirror.", ["proxy"] = "npm-mirror serve starts the mirror.",
        ["install"] = Install, ["i"] = Install, ["ci"] = Install, ["add"] = Install,
        ["publish"] = ReadOnly, ["unpublish"] = ReadOnly, ["login"] = ReadOnly, ["adduser"] = ReadOnly,
        ["follow"] = "npm-mirror monitor prints what changes; npm-mirror mirror also keeps it.", ["watch"] = "npm-mirror monitor prints what changes.",
        ["fetch"] = "npm-mirror sync NAME fetches packages by name.", ["pull"] = "npm-mirror sync NAME fetches packages by name.",
        ["prune"] = "npm-mirror gc lists unneeded data.", ["clean"] = "npm-mirror gc lists unneeded data.",
        ["check"] = "npm-mirror verify checks what is held.", ["audit"] = "npm-mirror verify checks what is held; npm audit asks the upstream through the mirror.",
        ["options"] = "npm-mirror --help lists the options.", ["settings"] = "npm-mirror config prints the options in force.",
    };

    private const string Install = "npm installs through a mirror that serves: npm install --registry=http://127.0.0.1:4873/npm/";
    private const string ReadOnly = "A mirror is read-only: publish and log in at the registry itself.";

    /// <summary>How the option of another tool is written here, or null.</summary>
    public static string? OptionFor(string name) => Options.GetValueOrDefault(Setting.KeyOf(name));

    /// <summary>The sentence for a command of another tool, or null.</summary>
    public static string? CommandFor(string name) => Commands.GetValueOrDefault(name.ToLowerInvariant());
}
