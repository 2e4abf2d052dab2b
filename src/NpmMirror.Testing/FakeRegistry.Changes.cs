using System.Text.Json.Nodes;

namespace NpmMirror.Testing;

/// <content>Changes in a registry: each gives the packument a new <c>_rev</c> and the feed a row.</content>
public sealed partial class FakeRegistry
{
    /// <summary>Publishes a package, or publishes it anew in place of the one that is there.</summary>
    public FakeChange Publish(FakePackage package)
    {
        ArgumentNullException.ThrowIfNull(package);
        var (packument, versions) = package.Build(PublicUrl ?? Url, SigningKey);
        foreach (var version in versions)
        {
            Keep(package.Name, version);
        }

        var json = FakeJson.Bytes(packument);
        return Database.Put(package.Name, _ => () => json);
    }

    /// <summary>Publishes one more version of a package and moves <c>latest</c> to it, unless it is a prerelease.</summary>
    public FakeChange PublishVersion(string name, string version, Action<FakeVersion>? configure = null)
    {
        var package = new FakePackage(name).Version(version, added =>
        {
            added.PublishedAt = _time.GetUtcNow();
            configure?.Invoke(added);
        });
        var built = package.Build(PublicUrl ?? Url, SigningKey).Versions[0];
        Keep(name, built);
        return Edit(name, packument =>
        {
            Member(packument, "versions")[version] = built.Manifest.DeepClone();
            Member(packument, "time")[version] = FakeJson.Time(built.PublishedAt);
            if (!version.Contains('-', StringComparison.Ordinal))
            {
                Member(packument, "dist-tags")["latest"] = version;
            }
        });
    }

    /// <summary>Deprecates a version; an empty message takes the deprecation back.</summary>
    public FakeChange Deprecate(string name, string version, string message) =>
        Edit(name, packument => packument["versions"]![version]!["deprecated"] = message);

    /// <summary>Points a tag at a version.</summary>
    public FakeChange Tag(string name, string tag, string version) => Edit(name, packument => Member(packument, "dist-tags")[tag] = version);

    /// <summary>Removes a tag.</summary>
    public FakeChange RemoveTag(string name, string tag) => Edit(name, packument => Member(packument, "dist-tags").Remove(tag));

    /// <summary>Gives a package other owners.</summary>
    public FakeChange SetMaintainers(string name, params string[] maintainers) =>
        Edit(name, packument => packument["maintainers"] = new JsonArray([.. maintainers.Select(FakePackage.Person)]));

    /// <summary>Removes one version; its <c>time</c> entry stays, its tarball goes, tags move to the last version left.</summary>
    public FakeChange UnpublishVersion(string name, string version) => Edit(name, packument =>
    {
        var versions = Member(packument, "versions");
        versions.Remove(version);
        RemoveTarballs(name, version);
        var tags = Member(packument, "dist-tags");
        foreach (var tag in tags.Where(tag => tag.Value?.GetValue<string>() == version).Select(tag => tag.Key).ToList())
        {
            tags.Remove(tag);
            if (tag == "latest" && versions.Count > 0)
            {
                tags[tag] = versions.Last().Key;
            }
        }
    });

    /// <summary>Unpublishes the whole package and leaves a tombstone with <c>time.unpublished</c>, without versions.</summary>
    public FakeChange Unpublish(string name) => Edit(name, packument =>
    {
        var versions = Member(packument, "versions").Select(version => version.Key).ToList();
        foreach (var member in packument.Select(member => member.Key).Where(key => key is not ("_id" or "name" or "time")).ToList())
        {
            packument.Remove(member);
        }

        versions.ForEach(version => RemoveTarballs(name, version));
        Member(packument, "time")["unpublished"] = new JsonObject
        {
            ["time"] = FakeJson.Time(_time.GetUtcNow()),
            ["versions"] = FakeJson.List(versions),
            ["maintainers"] = new JsonArray(FakePackage.Person("alice")),
        };
    });

    /// <summary>Deletes a package: a <c>deleted</c> row, and 404.</summary>
    public FakeChange Delete(string name)
    {
        RemoveTarballs(name, version: null);
        return Database.Put(name, _ => () => "{}"u8.ToArray(), isDeleted: true);
    }

    /// <summary>Takes a package down for security: a holder stands in its place.</summary>
    public FakeChange TakeDown(string name)
    {
        RemoveTarballs(name, version: null);
        return Publish(FakePackage.SecurityHolder(name));
    }

    /// <summary>Gives a package a new revision with the same content.</summary>
    public FakeChange Touch(string name) => Edit(name, static _ => { }, isModified: false);

    /// <summary>Changes a packument in any way.</summary>
    public FakeChange Edit(string name, Action<JsonObject> edit) => Edit(name, edit, isModified: true);

    /// <summary>Puts a packument in as these bytes, unchecked. The feed tells a <c>_rev</c> of its own.</summary>
    /// <param name="name">The package.</param>
    /// <param name="json">The bytes served as the full form.</param>
    /// <param name="sequence">The place of its row, if it is not the end of the feed: before cursors that have passed.</param>
    public FakeChange PutDocument(string name, byte[] json, long? sequence = null) => Database.Put(name, _ => () => json, sequence: sequence);

    /// <summary>Gives a package's row another place in the feed, before cursors that have passed, and a new revision.</summary>
    public FakeChange TouchAt(string name, long sequence) => Database.Put(name, previous => Content(name, previous), sequence: sequence);

    /// <summary>Adds a row that is no package, such as <c>_design/app</c>.</summary>
    public FakeChange PutDesignDocument(string id) => Database.Put(id, _ => () => "{}"u8.ToArray());

    /// <summary>Starts the feed's numbers anew, as after a move to another database.</summary>
    public void ResetFeed(string databaseId, long firstSequence = 1)
    {
        Database.Renumber(firstSequence);
        Knobs.DatabaseId = databaseId;
    }

    /// <summary>Leaves out so many of the feed's numbers.</summary>
    public void JumpFeed(long by) => Database.Jump(by);

    /// <summary>Publishes other bytes under an existing version, with their hashes: a registry must never do this.</summary>
    public FakeChange Republish(string name, string version)
    {
        var built = new FakePackage(name).Version(version, again => again.Files["again.js"] = $"// {Database.Head}").Build(PublicUrl ?? Url, SigningKey).Versions[0];
        Keep(name, built);
        return Edit(name, packument => packument["versions"]![version]!["dist"] = built.Manifest["dist"]!.DeepClone());
    }

    /// <summary>Puts all packuments of a folder in: files named <c>encodeURIComponent(name).json</c>. Lazy ones are read when asked for.</summary>
    /// <returns>How many there were.</returns>
    public int AddFolder(string folder, bool isLazy)
    {
        var count = 0;
        foreach (var file in Directory.EnumerateFiles(folder, "*.json").Order(StringComparer.Ordinal))
        {
            var name = Uri.UnescapeDataString(Path.GetFileNameWithoutExtension(file));
            var json = isLazy ? null : File.ReadAllBytes(file);
            Database.Put(name, _ => json is null ? () => File.ReadAllBytes(file) : () => json, isLazy: isLazy);
            count++;
        }

        return count;
    }

    /// <summary>Renders and compresses all full packuments now, so that no request has to wait for it.</summary>
    public void Prepare(bool isAbbreviatedToo = false)
    {
        foreach (var document in Database.All())
        {
            document.Body(new FakeForm(IsAbbreviated: false, Knobs.HasRevision, Knobs.HasModified));
            if (isAbbreviatedToo)
            {
                document.Body(new FakeForm(IsAbbreviated: true, Knobs.HasRevision, Knobs.HasModified));
            }
        }
    }

    private FakeChange Edit(string name, Action<JsonObject> edit, bool isModified) => Database.Put(name, previous =>
    {
        if (previous is not { IsDeleted: false })
        {
            throw new InvalidOperationException($"There is no package {name}; publish it first.");
        }

        var packument = previous.Parse();
        packument.Remove("_rev");
        edit(packument);
        if (isModified)
        {
            Member(packument, "time")["modified"] = FakeJson.Time(_time.GetUtcNow());
        }

        var json = FakeJson.Bytes(packument);
        return () => json;
    });

    private void Keep(string name, BuiltVersion version)
    {
        Tarballs[version.TarballPath] = version.Tarball;
        if (Knobs.Mishaps.FreshTarballs > TimeSpan.Zero)
        {
            TarballsFrom[version.TarballPath] = _time.GetUtcNow() + Knobs.Mishaps.FreshTarballs;
        }

        if (version.Attestations is { } attestations)
        {
            Attestations[$"{name}@{version.Version}"] = attestations;
        }
    }

    private void RemoveTarballs(string name, string? version)
    {
        foreach (var path in Tarballs.Keys.Where(path => path.StartsWith($"/{name}/-/", StringComparison.Ordinal) && (version is null || path.EndsWith($"-{version}.tgz", StringComparison.Ordinal))))
        {
            Tarballs.TryRemove(path, out _);
        }
    }

    private static Func<byte[]> Content(string name, FakeDocument? previous)
    {
        var json = previous?.Json ?? throw new InvalidOperationException($"There is no package {name}; publish it first.");
        return () => json;
    }

    private static JsonObject Member(JsonObject packument, string name)
    {
        if (packument[name] is not JsonObject member)
        {
            packument[name] = member = [];
        }

        return member;
    }
}
