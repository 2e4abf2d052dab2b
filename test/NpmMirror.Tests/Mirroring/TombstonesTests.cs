using System.Text.Json;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Mirroring;

/// <summary>What is kept of a package that was removed before this mirror ever held it.</summary>
public sealed class TombstonesTests
{
    private static readonly DateTimeOffset Now = new(2026, 11, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly DateTimeOffset Then = new(2020, 1, 2, 3, 4, 5, TimeSpan.Zero);
    private static readonly PackageName Name = PackageName.Parse("@scope/name");

    [Fact]
    public async Task Kind_reason_time_and_revision_are_kept_and_the_document_is_what_npm_sends()
    {
        var removed = Tombstones.EventOf(RemovalKind.Unpublished, new RemovalNotice("Unpublished", "by its owner", Then, "7-b"), Now);
        var commit = Tombstones.CommitOf(Name, removed, "upstream#1");
        var facts = commit.Facts;
        Assert.Equal((Name, 0L, RemovalKind.Unpublished, "by its owner", "7-b", "upstream#1"), (commit.Name, commit.ExpectedGeneration, facts.Removal, facts.RemovalReason, facts.Rev, facts.Upstream));
        Assert.Equal((Then, Now, Now), (facts.ModifiedAt, facts.FirstSeenAt, facts.StoredAt));
        Assert.Equal("PackageRemoved", Assert.Single(commit.Events).Type);
        Assert.Equal((Then, Now, "7-b", 0), (commit.Events[0].At, commit.Events[0].SeenAt, commit.Events[0].UpstreamRev, commit.Events[0].Ordinal));

        await using var decoded = DocumentCodecs.OpenDecoded(Name, commit.Document!);
        using var document = await JsonDocument.ParseAsync(decoded, cancellationToken: TestContext.Current.CancellationToken);
        var root = document.RootElement;
        Assert.Equal(("@scope/name", "7-b", "@scope/name"), (root.GetProperty("_id").GetString(), root.GetProperty("_rev").GetString(), root.GetProperty("name").GetString()));
        Assert.Equal(Then.UtcDateTime, root.GetProperty("time").GetProperty("unpublished").GetProperty("time").GetDateTime());
        Assert.True(PackumentIndex.FromBytes(commit.Index.Span).IsUnpublished);
    }

    [Fact]
    public async Task Without_a_time_none_is_invented()
    {
        var commit = Tombstones.CommitOf(Name, Tombstones.EventOf(RemovalKind.Gone, new RemovalNotice("Gone", null, null, "7-b"), Now), "upstream#1");
        await using var decoded = DocumentCodecs.OpenDecoded(Name, commit.Document!);
        using var document = await JsonDocument.ParseAsync(decoded, cancellationToken: TestContext.Current.CancellationToken);
        Assert.Empty(document.RootElement.GetProperty("time").GetProperty("unpublished").EnumerateObject());
        Assert.Null(commit.Facts.ModifiedAt);
        Assert.Null(Assert.Single(commit.Events).At);
    }
}
