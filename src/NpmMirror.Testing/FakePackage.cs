using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <summary>Builds a package with real tarballs, hashes and signatures: <c>new FakePackage("ms").Version("2.1.3")</c>.</summary>
public sealed class FakePackage(string name)
{
    /// <summary>When the first version of every fake package was published: long ago, so that no client's age gate minds.</summary>
    public static readonly DateTimeOffset Birth = new(2020, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly List<FakeVersion> _versions = [];
    private readonly Dictionary<string, string> _tags = new(StringComparer.Ordinal);

    /// <summary>The package's name, scope included.</summary>
    public string Name { get; } = name;

    /// <summary>One line about it.</summary>
    public string Description { get; set; } = $"The package {name}";

    /// <summary>Its licence.</summary>
    public string License { get; set; } = "MIT";

    /// <summary>The readme of the newest version, or null.</summary>
    public string? Readme { get; set; }

    /// <summary>Words to find it by.</summary>
    public IList<string> Keywords { get; } = [];

    /// <summary>The owners.</summary>
    public IList<string> Maintainers { get; } = ["alice"];

    /// <summary>Versions published once and removed: only their <c>time</c> entry is left.</summary>
    public IDictionary<string, DateTimeOffset> RemovedVersions { get; } = new Dictionary<string, DateTimeOffset>(StringComparer.Ordinal);

    /// <summary>Its versions, in the order of publishing.</summary>
    public IReadOnlyList<FakeVersion> Versions => _versions;

    internal string BareName => Name[(Name.IndexOf('/', StringComparison.Ordinal) + 1)..];

    internal string UrlName => Name.Replace("/", "%2f", StringComparison.Ordinal);

    /// <summary>Adds a version, one day younger than the one before.</summary>
    public FakePackage Version(string version, Action<FakeVersion>? configure = null)
    {
        var added = new FakeVersion(version, Birth.AddDays(_versions.Count));
        configure?.Invoke(added);
        _versions.Add(added);
        return this;
    }

    /// <summary>Points a tag at a version. Without any, <c>latest</c> is the last version that is no prerelease.</summary>
    public FakePackage Tag(string tag, string version)
    {
        _tags[tag] = version;
        return this;
    }

    /// <summary>Sets other members: <c>.With(package =&gt; package.Readme = "…")</c>.</summary>
    public FakePackage With(Action<FakePackage> configure)
    {
        ArgumentNullException.ThrowIfNull(configure);
        configure(this);
        return this;
    }

    /// <summary>The package that npm puts in the place of one that was taken down for security.</summary>
    public static FakePackage SecurityHolder(string name)
    {
        var holder = new FakePackage(name) { Description = "security holding package" };
        holder.Maintainers.Clear();
        holder.RemovedVersions["1.0.0"] = Birth;
        return holder.Version("0.0.1-security", version =>
        {
            version.Publisher = "npm";
            version.PublishedAt = Birth.AddDays(100);
            version.Extra["repository"] = "npm/security-holder";
        }).Tag("latest", "0.0.1-security");
    }

    internal static JsonObject Person(string name) => new() { ["name"] = name, ["email"] = $"{name}@example.org" };

    internal JsonArray MaintainersJson() => new([.. Maintainers.Select(Person)]);

    internal (JsonObject Packument, IReadOnlyList<BuiltVersion> Versions) Build(Uri baseUrl, FakeSigningKey? key)
    {
        var built = _versions.ConvertAll(version => version.Build(this, baseUrl, key));
        var tags = new Dictionary<string, string>(_tags, StringComparer.Ordinal);
        if (!tags.ContainsKey("latest") && built.Count > 0)
        {
            tags["latest"] = (built.FindLast(version => !version.Version.Contains('-', StringComparison.Ordinal)) ?? built[^1]).Version;
        }

        var time = new JsonObject();
        var dates = built.Select(version => (version.Version, version.PublishedAt)).Concat(RemovedVersions.Select(pair => (pair.Key, pair.Value))).ToList();
        if (dates.Count > 0)
        {
            time["created"] = FakeJson.Time(dates.Min(date => date.Item2));
            time["modified"] = FakeJson.Time(dates.Max(date => date.Item2));
        }

        foreach (var (version, date) in dates)
        {
            time[version] = FakeJson.Time(date);
        }

        var packument = new JsonObject
        {
            ["_id"] = Name,
            ["name"] = Name,
            ["description"] = Description,
            ["dist-tags"] = FakeJson.Map(tags),
            ["versions"] = new JsonObject(built.Select(version => KeyValuePair.Create<string, JsonNode?>(version.Version, version.Manifest))),
            ["time"] = time,
            ["license"] = License,
            ["maintainers"] = MaintainersJson(),
        };
        if (Keywords.Count > 0)
        {
            packument["keywords"] = FakeJson.List(Keywords);
        }

        if (Readme is not null)
        {
            packument["readme"] = Readme;
            packument["readmeFilename"] = "README.md";
        }

        return (packument, built);
    }
}
