using System.Text;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Storage;

/// <summary>The packages that the examples of the pages about queries are run over.</summary>
internal static class QueriedPackages
{
    internal const string Ms =
        """
        {"name":"ms","keywords":["time"],"maintainers":[{"name":"ann"},{"name":"bob"}],"license":"MIT","dist-tags":{"latest":"2.1.3"},
        "versions":{"2.1.2":{},"2.1.3":{}},"time":{"2.1.2":"2019-06-06T17:31:55.000Z","2.1.3":"2020-12-08T13:54:35.000Z"}}
        """;

    internal const string Express =
        """
        {"name":"express","description":"web framework","keywords":["web","http"],"maintainers":[{"name":"ann"}],"license":"MIT","dist-tags":{"latest":"4.18.2","next":"5.0.0"},
        "versions":{"4.18.2":{"dependencies":{"accepts":"~1.3.8","ms":"2.0.0"}},"5.0.0":{"dependencies":{"ms":"2.1.3"}}},"time":{"4.18.2":"2022-10-08T20:11:42.000Z","5.0.0":"2024-09-10T04:40:34.000Z"}}
        """;

    /// <summary>Fills a store with them.</summary>
    internal static async Task FillAsync(IMetadataStore store, CancellationToken cancellationToken)
    {
        await CommitAsync(store, NewCommit("express", 0, Express), cancellationToken);
        await CommitAsync(store, NewCommit("ms", 0, Ms), cancellationToken);
        await CommitAsync(
            store,
            NewCommit("left-pad", 0, """{"name":"left-pad","description":"String left pad","license":"WTFPL","dist-tags":{"latest":"1.3.0"},"versions":{"1.3.0":{"deprecated":"use String.prototype.padStart()"}},"time":{"1.3.0":"2018-04-09T00:00:00.000Z"}}"""),
            cancellationToken);
        await CommitAsync(
            store,
            NewCommit("@types/ms", 0, """{"name":"@types/ms","keywords":"types, time","license":"MIT","dist-tags":{"latest":"0.7.34"},"versions":{"0.7.34":{}},"time":{"0.7.34":"2023-11-07T00:00:00.000Z"}}"""),
            cancellationToken);
        await CommitAsync(store, NewCommit("gone", 0, """{"name":"gone","maintainers":["ann"],"versions":{"1.0.0":{}}}"""), cancellationToken);
        await CommitAsync(store, NewCommit("gone", 1, null, RemovalKind.Unpublished), cancellationToken);
        while (await store.Log.NumberEventsAsync(cancellationToken) > 0)
        {
            // More may wait.
        }
    }

    /// <summary>A commit with one event.</summary>
    internal static PackageCommit NewCommit(string name, long expectedGeneration, string? json, RemovalKind? removal = null)
    {
        var raw = Encoding.UTF8.GetBytes(json ?? "");
        return new PackageCommit
        {
            Name = PackageName.Parse(name),
            ExpectedGeneration = expectedGeneration,
            Facts = new PackageFacts { FirstSeenAt = DateTimeOffset.UnixEpoch, StoredAt = DateTimeOffset.UnixEpoch, Removal = removal },
            Document = json is null ? null : DocumentCodecs.Encode(raw),
            Index = json is null ? default : PackumentReader.Read(raw, PackageName.Parse(name), hashSeed: 1).Index.ToBytes(),
            Events = [new PendingEvent { Ordinal = 0, Type = EventTypes.MetadataChanged, SeenAt = DateTimeOffset.UnixEpoch, Payload = "{}"u8.ToArray() }],
        };
    }

    private static async Task CommitAsync(IMetadataStore store, PackageCommit commit, CancellationToken cancellationToken) =>
        Assert.True((await store.Packages.CommitAsync(commit, cancellationToken)).IsCommitted);
}
