using System.Text;
using NpmMirror.Log;
using NpmMirror.Maintenance;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Maintenance;

/// <summary>Where a verification begins, by the marks that the one before it left.</summary>
public sealed class VerifyMarksTests : IAsyncLifetime
{
    private MaintenanceBench _bench = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _bench = await MaintenanceBench.StartAsync();
        await _bench.HoldAsync("left-pad", "1.0.0");
        await _bench.HoldAsync("ms", "1.0.0");
        _bench.Clock.Advance(TimeSpan.FromHours(1));
    }

    public ValueTask DisposeAsync() => _bench.DisposeAsync();

    [Claim("A finding in the log, or in a document of the past, is found by each run, however lately the one before was",
        Red = "`LogVerification` moves its mark past a damaged row, a missing end, a replaced last row, or a row whose document of the past is damaged, one at a time")]
    [Theory]
    [InlineData("UPDATE log SET seen_at = 'yesterday' WHERE position = 3", "log 3")]
    [InlineData("UPDATE log SET seen_at = seen_at + 1 WHERE position = 3", "log 3")]
    [InlineData("UPDATE log SET payload = x'7b7d' WHERE position = 3", "log 3")]
    [InlineData("DELETE FROM log WHERE position = 2", "log 2")]
    [InlineData("DELETE FROM log WHERE position > 2", "log 3")]
    [InlineData("UPDATE archive SET bytes = x'00'", "left-pad")]
    [InlineData("UPDATE archive SET codec = 'zip'", "left-pad")]
    [InlineData("DELETE FROM archive", "left-pad")]
    public async Task A_finding_of_the_log_is_found_again(string sql, string subject)
    {
        _bench.Upstream.TakeDown("left-pad");
        await _bench.SyncAsync("left-pad");
        _bench.Tamper(sql);
        await AssertFoundThriceAsync(subject);
    }

    [Claim("A finding in a document or in the tarballs that it promises is found by each run, however lately the one before was",
        Red = "`DocumentVerification` or `PromiseVerification` takes a finding for right")]
    [Theory]
    [InlineData("UPDATE documents SET bytes = x'00' WHERE package = (SELECT id FROM packages WHERE name = 'ms')", "ms")]
    [InlineData("DELETE FROM tarballs WHERE package = 'ms'", "ms/ms-1.0.0.tgz")]
    [InlineData("UPDATE tarballs SET (sha512, size) = (SELECT sha512, size FROM tarballs WHERE package = 'left-pad') WHERE package = 'ms'", "ms/ms-1.0.0.tgz")]
    public async Task A_finding_of_a_document_is_found_again(string sql, string subject)
    {
        _bench.Tamper(sql);
        await AssertFoundThriceAsync(subject);
    }

    [Fact]
    public async Task A_last_row_that_was_replaced_is_found_again()
    {
        var rows = await _bench.Store.Log.ReadLogAsync(LogPosition.Zero, Cancelled).ToListAsync(Cancelled);
        var other = ChainHash.Next(rows[0].Hash, rows[1] with { SeenAt = rows[1].SeenAt.AddSeconds(1) });
        _bench.Tamper($"UPDATE log SET seen_at = seen_at + 1000, hash = x'{other.Hex}' WHERE position = 2");
        await AssertFoundThriceAsync("log 2");
    }

    [Claim("An event of a newer program in the log is told by each verification, and ends none",
        Red = "the mark moves past it (as before); it is not told")]
    [Fact]
    public async Task An_event_that_this_program_does_not_know_is_found_again()
    {
        await PutAsync([Event(0, "FromTheFuture", """{"document":"00"}""")]);
        Assert.Contains("“FromTheFuture”, which this version does not know", (await AssertFoundThriceAsync("log 3")).Problem, StringComparison.Ordinal);
    }

    [Claim("A verification of the log that is cut short goes on after the last ten thousand rows that were right",
        Red = "no mark is kept, or one without the row's position or hash")]
    [Fact]
    public async Task A_long_log_is_gone_on_with_where_it_was_marked()
    {
        // Progress is told every 256 rows: here after the mark, and before the end.
        await PutAsync([.. Enumerable.Range(0, 10_300).Select(i => Event(i, EventTypes.VersionPublished, """{"version":"1.0.0"}"""))]);
        using var cut = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.Verifier.RunAsync(
            new VerifyRequest
            {
                Progress = at =>
                {
                    if (at.Done > 10_000)
                    {
                        cut.Cancel();
                    }
                },
            },
            cut.Token));
        var (findings, summary) = await _bench.VerifyAsync();
        Assert.Empty(findings);
        Assert.Equal((true, 302, 10_302), (summary.IsContinued, summary.LogRows, summary.Head.Position.Value));
    }

    [Theory]
    [InlineData("UPDATE packages SET is_removed = 7 WHERE name = 'ms'")]
    [InlineData("UPDATE documents SET bytes = x'00'")]
    [InlineData("DELETE FROM tarballs WHERE package = 'ms'")]
    public async Task A_mended_part_is_believed_like_a_right_one(string sql)
    {
        _bench.Tamper(sql);
        Assert.Equal(0, (await _bench.VerifyAsync(new VerifyRequest { Repairs = _bench.Repairs })).Summary.Left);
        Assert.Equal(0, (await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Summary.Documents);
    }

    [Fact]
    public async Task A_log_that_leads_through_a_noted_head_is_believed_afterwards()
    {
        var head = await _bench.Store.Log.ReadHeadAsync(Cancelled);
        Assert.Equal(2, (await _bench.VerifyAsync(new VerifyRequest { NotedHead = head })).Summary.LogRows);
        Assert.Equal(0, (await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) })).Summary.LogRows);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_run_that_was_cut_short_is_gone_on_with_unless_told_otherwise(bool startsAnew)
    {
        File.Delete(_bench.FileOf((await _bench.RowAsync("ms"))!.Sha512));
        using var cut = new CancellationTokenSource();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => _bench.Verifier.RunAsync(new VerifyRequest { Found = _ => cut.Cancel() }, cut.Token));
        var (_, summary) = await _bench.VerifyAsync(new VerifyRequest { StartsAnew = startsAnew });
        Assert.Equal((!startsAnew, startsAnew ? 2 : 0), (summary.IsContinued, summary.LogRows));
    }

    [Theory]
    [InlineData(0, 0)]
    [InlineData(1, 2)]
    public async Task A_verification_of_just_that_age_is_believed(int millisecondsMore, int looked)
    {
        await _bench.VerifyAsync();
        _bench.Clock.Advance(TimeSpan.FromDays(7) + TimeSpan.FromMilliseconds(millisecondsMore));
        var (_, summary) = await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) });
        Assert.Equal((looked, looked, looked, 2 - looked), (summary.LogRows, summary.Documents, summary.Tarballs, summary.Skipped));
    }

    [Fact]
    public async Task A_removed_packages_last_document_is_there_wherever_it_lies()
    {
        _bench.Upstream.Unpublish("ms");
        await _bench.SyncAsync("ms");
        _bench.Tamper("UPDATE documents SET is_pinned = 0");
        Assert.Empty((await _bench.VerifyAsync()).Findings);
    }

    private async Task<VerifyFinding> AssertFoundThriceAsync(string subject)
    {
        VerifyFinding? last = null;
        for (var run = 0; run < 3; run++)
        {
            var (findings, summary) = await _bench.VerifyAsync(new VerifyRequest { OlderThan = TimeSpan.FromDays(7) });
            last = findings.Find(finding => finding.Subject.Split(' ')[0] == subject || finding.Subject == subject);
            Assert.True(last is not null && summary.Left > 0, $"Run {run} found {string.Join(", ", findings.Select(finding => finding.Subject))}.");
            _bench.Clock.Advance(TimeSpan.FromMinutes(1));
        }

        return last!;
    }

    private PendingEvent Event(int ordinal, string type, string payload) => new() { Ordinal = ordinal, Type = type, SeenAt = _bench.Clock.GetUtcNow(), Payload = Encoding.UTF8.GetBytes(payload) };

    /// <summary>Puts a package without versions, whose commit brought these events.</summary>
    private async Task PutAsync(List<PendingEvent> events)
    {
        var name = PackageName.Parse("many");
        var bytes = """{"name":"many","versions":{}}"""u8.ToArray();
        var commit = new PackageCommit
        {
            Name = name,
            ExpectedGeneration = 0,
            Facts = new PackageFacts { FirstSeenAt = _bench.Clock.GetUtcNow(), StoredAt = _bench.Clock.GetUtcNow() },
            Document = DocumentCodecs.Encode(bytes, Digest.OfSha256(bytes)),
            Index = PackumentReader.Read(bytes, name).Index.ToBytes(),
            Events = events,
        };
        Assert.True((await _bench.Store.Packages.CommitAsync(commit, Cancelled)).IsCommitted);
    }
}
