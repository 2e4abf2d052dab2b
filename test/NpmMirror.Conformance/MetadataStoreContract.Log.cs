using System.Text;
using NpmMirror.Log;
using NpmMirror.Storage;
using Xunit;

namespace NpmMirror.Conformance;

public abstract partial class MetadataStoreContract
{
    [Fact]
    public async Task Begins_the_log_at_genesis()
    {
        Assert.Equal(new LogHead(LogPosition.Zero, ChainHash.Genesis), await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Empty(await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation)));
        Assert.Equal(0, await Store.Log.NumberEventsAsync(Cancellation));
    }

    [Fact]
    public async Task Gives_back_an_event_as_it_was_told()
    {
        var pending = new PendingEvent
        {
            Ordinal = 0,
            Type = "VersionPublished",
            At = new DateTimeOffset(2020, 1, 2, 3, 4, 5, 6, TimeSpan.Zero),
            SeenAt = Clock.GetUtcNow(),
            UpstreamRev = "3-ä",
            Payload = Encoding.UTF8.GetBytes("""{"version":"1.0.0"}"""),
        };
        await Store.Packages.CommitAsync(NewCommit("express", 0, "{}") with { Events = [pending, Event(1, "")] }, Cancellation);
        await NumberAsync(Store);

        var rows = await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        var expected = ChainHash.Append(LogPosition.Zero, ChainHash.Genesis, Name("express"), 1, pending);
        Assert.Equal(expected.Payload!.Value.ToArray(), rows[0].Payload!.Value.ToArray());
        Assert.Equal(expected with { Payload = null }, rows[0] with { Payload = null });
        Assert.Equal((1, 0, (DateTimeOffset?)null, (string?)null), (rows[1].Ordinal, rows[1].Payload!.Value.Length, rows[1].At, rows[1].UpstreamRev));
    }

    [Fact]
    public async Task Numbers_densely_and_chains()
    {
        await Task.WhenAll(Enumerable.Range(0, 300).Select(i => Store.Packages.CommitAsync(NewCommit($"p{i}", 0, "{}", events: i % 4), Cancellation).AsTask()));
        await NumberAsync(Store);

        var rows = await AllAsync(Store.Log.ReadLogAsync(LogPosition.Zero, Cancellation));
        AssertChain(rows, await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(Enumerable.Range(0, 300).Sum(i => i % 4), rows.Count);

        // A commit's events keep their order, and none is there twice.
        Assert.Equal(rows.Count, rows.Select(row => (row.Package, row.Generation, row.Ordinal)).Distinct().Count());
        Assert.All(rows.GroupBy(row => row.Package), group => Assert.Equal(Enumerable.Range(0, group.Count()), group.Select(row => row.Ordinal)));
        Assert.Equal(rows.Skip(290).Select(row => row.Position), (await AllAsync(Store.Log.ReadLogAsync(new LogPosition(290), Cancellation))).Select(row => row.Position));
        Assert.Empty(await AllAsync(Store.Log.ReadLogAsync(new LogPosition(rows.Count), Cancellation)));
    }

    [Fact]
    public async Task Numbers_an_event_only_once()
    {
        await CommitAsync("express", 0, "{}", events: 3);
        var head = await Store.Log.ReadHeadAsync(Cancellation);
        Assert.Equal(0, await Store.Log.NumberEventsAsync(Cancellation));
        Assert.Equal(head, await Store.Log.ReadHeadAsync(Cancellation));
        Assert.Equal(head.Position, (await Store.Packages.FindAsync(Name("express"), Cancellation))!.LastPosition);
    }

    [Fact]
    public async Task Shows_a_reader_of_position_n_no_row_up_to_n_later()
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(Cancellation);
        var writing = Task.WhenAll(Enumerable.Range(0, 4).Select(writer => Task.Run(async () =>
        {
            for (var i = 0; i < 50; i++)
            {
                await Store.Packages.CommitAsync(NewCommit($"w{writer}-{i}", 0, "{}", events: 2), Cancellation);
                await Store.Log.NumberEventsAsync(Cancellation);
            }
        })));
        var seen = new List<LogRow>();
        while (seen.Count < 4 * 50 * 2)
        {
            var isWritten = writing.IsCompleted;
            seen.AddRange(await AllAsync(Store.Log.ReadLogAsync(new LogPosition(seen.Count), Cancellation)));
            Assert.Equal(seen.Count, seen.Count == 0 ? 0 : seen[^1].Position.Value);
            if (isWritten)
            {
                await NumberAsync(Store);
            }
        }

        await writing;
        AssertChain(seen, await Store.Log.ReadHeadAsync(Cancellation));
    }

    [Fact]
    public async Task Waits_for_the_log_to_grow()
    {
        await CommitAsync("a", 0, "{}");
        Assert.Equal(new LogPosition(1), await Store.Log.WaitForLogAsync(LogPosition.Zero, TimeSpan.FromMinutes(1), Cancellation));

        var waiting = Store.Log.WaitForLogAsync(new LogPosition(1), TimeSpan.FromMinutes(1), Cancellation);
        Assert.False(waiting.IsCompleted);
        await CommitAsync("b", 0, "{}");
        Assert.Equal(new LogPosition(2), await waiting.AsTask().WaitAsync(TimeSpan.FromSeconds(5), Cancellation));
    }

    [Fact]
    public async Task Waits_for_the_log_no_longer_than_told()
    {
        await CommitAsync("a", 0, "{}");
        Assert.Equal(new LogPosition(1), await Store.Log.WaitForLogAsync(new LogPosition(1), TimeSpan.Zero, Cancellation));
        Assert.Equal(new LogPosition(1), await Store.Log.WaitForLogAsync(new LogPosition(7), TimeSpan.FromMilliseconds(20), Cancellation));

        using var stop = new CancellationTokenSource();
        var waiting = Store.Log.WaitForLogAsync(new LogPosition(1), TimeSpan.FromMinutes(1), stop.Token);
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(async () => await waiting);
    }

    /// <summary>Positions are dense, and every link is right up to the head.</summary>
    protected static void AssertChain(IReadOnlyList<LogRow> rows, LogHead head)
    {
        var hash = ChainHash.Genesis;
        for (var i = 0; i < rows.Count; i++)
        {
            Assert.Equal(i + 1, rows[i].Position.Value);
            Assert.True(rows[i].Payload is not { } payload || Digest.OfSha256(payload.Span) == rows[i].PayloadSha256);
            hash = ChainHash.Next(hash, rows[i]);
            Assert.Equal(hash, rows[i].Hash);
        }

        Assert.Equal(new LogHead(new LogPosition(rows.Count), hash), head);
    }
}
