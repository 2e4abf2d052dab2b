using System.Text;
using NpmMirror.Feeds;
using NpmMirror.Log;
using NpmMirror.Packuments;
using NpmMirror.Removals;
using NpmMirror.Storage;
using NpmMirror.Syncing;
using NpmMirror.Upstream;

namespace NpmMirror.Tests.Syncing;

/// <summary>Whether an answer of the upstream is as new as the feed said, and not older than the stored document.</summary>
public sealed class RevisionCheckTests
{
    private const string Url = "http://registry.example.org";

    private static readonly PackageName Name = PackageName.Parse("p");

    private readonly FakeClock _clock = new();
    private readonly KnownUpstream _known = new(new Uri(Url));
    private readonly RevisionCheck _check;

    public RevisionCheckTests() => _check = new RevisionCheck(_known, _clock);

    [Theory]
    [InlineData(null, false, "1-a", true, 0, 0, true)]
    [InlineData("2-b", false, "1-a", true, 0, 0, false)]
    [InlineData("2-b", false, "2-b", false, 0, 0, true)]
    [InlineData("2-b", false, "2-c", false, 0, 0, true)]
    [InlineData("2-b", false, "3-c", false, 0, 0, true)]
    [InlineData("2-b", false, null, true, 0, 0, true)]
    [InlineData("2-b", false, null, false, 0, 0, false)]
    [InlineData("2-b", false, null, false, 2, 59, false)]
    [InlineData("2-b", false, null, false, 1, 60, false)]
    [InlineData("2-b", false, null, false, 2, 60, true)]
    [InlineData("2-b", true, "2-b", true, 0, 0, false)]
    [InlineData("2-b", true, "1-a", true, 0, 0, false)]
    [InlineData("2-b", true, "3-c", false, 0, 0, true)]
    [InlineData("2-b", true, null, true, 0, 0, true)]
    [InlineData("2-b", true, null, false, 2, 60, false)]
    [InlineData(null, true, "3-c", true, 0, 0, true)]
    [InlineData(null, true, "3-c", false, 0, 0, false)]
    [InlineData("2-b", false, "1-a", true, RemovalCheck.DoubtTriesMin, 86_399, false)]
    [InlineData("2-b", false, "1-a", true, RemovalCheck.DoubtTriesMin - 1, 86_400, false)]
    [InlineData("2-b", false, "1-a", true, RemovalCheck.DoubtTriesMin, 86_400, true)]
    public void An_answer_is_as_new_as_the_feed_said_or_is_asked_for_again(string? wanted, bool isDeletedRow, string? rev, bool isDifferent, int attempts, int seconds, bool isReached)
    {
        var item = Item(attempts, seconds) with { WantedRev = wanted, IsDeletedRow = isDeletedRow };
        Assert.Equal(isReached, _check.FindLag(item, rev, isDifferent) is null);
        Assert.Null(_check.FindLag(null, rev, isDifferent));
    }

    [Fact]
    public void The_awaited_revision_is_told()
    {
        Assert.Equal("the feed speaks of rev 2-b, the upstream still sends 1-a", _check.FindLag(Item() with { WantedRev = "2-b" }, "1-a", true));
        Assert.Equal("the feed speaks of rev 2-b, the upstream still sends the same document", _check.FindLag(Item() with { WantedRev = "2-b" }, null, false));
        Assert.Equal("the feed says it was deleted, the upstream still sends it", _check.FindLag(Item() with { IsDeletedRow = true }, null, false));
    }

    [Theory]
    [InlineData("3-c", "2-b", Url, false)]
    [InlineData("3-c", "3-d", Url, true)]
    [InlineData("3-c", "4-a", Url, true)]
    [InlineData("3-c", null, Url, true)]
    [InlineData(null, "2-b", Url, true)]
    [InlineData("3-c", "2-b", "http://other.example.org", true)]
    public void An_older_revision_of_the_same_upstream_is_a_regression(string? stored, string? fetched, string upstream, bool isTaken)
    {
        // The moments of change say the contrary: where there are revisions they decide.
        var row = Row(stored, "2020-02-01", upstream, "1.0.0");
        Assert.Equal(isTaken, _check.FindRegression(row, Document(fetched, "2020-01-01", "1.0.0"), null) is null);
        Assert.Null(_check.FindRegression(row with { Facts = row.Facts with { Removal = RemovalKind.Gone } }, Document(fetched, "2020-01-01", "1.0.0"), null));
        Assert.Null(_check.FindRegression(row, Document(fetched, "2020-01-01", "1.0.0"), Item(RemovalCheck.DoubtTriesMin, 86_400)));
        Assert.Equal(isTaken, _check.FindRegression(row, Document(fetched, "2020-01-01", "1.0.0"), Item(RemovalCheck.DoubtTriesMin, 86_399)) is null);
    }

    [Theory]
    [InlineData("2020-02-01", "2020-01-31", false)]
    [InlineData("2020-02-01", "2020-02-01", true)]
    [InlineData("2020-02-01", "2020-02-02", true)]
    [InlineData("2020-02-01", null, true)]
    [InlineData(null, "2020-01-31", true)]
    public void Without_revisions_an_older_stated_moment_is_a_regression(string? stored, string? fetched, bool isTaken)
    {
        var refused = _check.FindRegression(Row(null, stored, Url, "1.0.0"), Document(null, fetched, "1.0.0"), null);
        Assert.Equal(isTaken, refused is null);
        if (!isTaken)
        {
            Assert.Contains("older than the stored", refused, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Of_another_life_of_the_database_nothing_is_compared()
    {
        _known.Note(UpstreamIdentity.Parse(Url + "#second"));
        Assert.Null(_check.FindRegression(Row("3-c", null, Url + "#first", "1.0.0"), Document("2-b", null, "1.0.0"), null));
        Assert.NotNull(_check.FindRegression(Row("3-c", null, Url + "#second", "1.0.0"), Document("2-b", null, "1.0.0"), null));
        Assert.NotNull(_check.FindRegression(Row("3-c", null, Url, "1.0.0"), Document("2-b", null, "1.0.0"), null));
    }

    [Fact]
    public void The_unexplained_loss_of_all_versions_is_a_regression()
    {
        Assert.Contains("without any version", _check.FindRegression(Row("3-c", null, "http://other.example.org", "1.0.0"), Document("4-d", null), null), StringComparison.Ordinal);
        Assert.Null(_check.FindRegression(Row("3-c", null, Url), Document("4-d", null), null));
    }

    private QueueItem Item(int attempts = 0, int seconds = 0) => new()
    {
        Name = Name,
        Priority = QueuePriority.Change,
        DueAt = _clock.GetUtcNow(),
        QueuedAt = _clock.GetUtcNow() - TimeSpan.FromSeconds(seconds),
        Attempts = attempts,
    };

    private PackageRow Row(string? rev, string? modified, string upstream, params string[] versions) => new()
    {
        Name = Name,
        Generation = 1,
        Facts = new PackageFacts
        {
            Rev = rev,
            Upstream = upstream,
            ModifiedAt = modified is null ? null : DateTimeOffset.Parse(modified + "T00:00:00Z", System.Globalization.CultureInfo.InvariantCulture),
            FirstSeenAt = _clock.GetUtcNow(),
            StoredAt = _clock.GetUtcNow(),
        },
        LastPosition = new LogPosition(1),
        Index = Document(rev, modified, versions).Index.ToBytes(),
        DocumentSha256 = Digest.OfSha256("{}"u8),
        RawSizeBytes = 2,
    };

    private static ParsedPackument Document(string? rev, string? modified, params string[] versions)
    {
        var members = new List<string> { "\"name\":\"p\"" };
        if (rev is not null)
        {
            members.Add($"\"_rev\":\"{rev}\"");
        }

        if (modified is not null)
        {
            members.Add($"\"time\":{{\"modified\":\"{modified}T00:00:00.000Z\"}}");
        }

        members.Add($"\"versions\":{{{string.Join(',', versions.Select(version => $"\"{version}\":{{\"name\":\"p\",\"version\":\"{version}\"}}"))}}}");
        return PackumentReader.Read(Encoding.UTF8.GetBytes($"{{{string.Join(',', members)}}}"), Name);
    }
}
