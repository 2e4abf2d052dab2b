using NpmMirror.Copying;
using NpmMirror.Following;
using NpmMirror.Hosting;
using NpmMirror.Log;
using NpmMirror.Notes;
using NpmMirror.Options;
using NpmMirror.Sqlite;
using NpmMirror.Storage;

namespace NpmMirror.Tests.Copying;

public sealed class MirrorCopyTests : IAsyncLifetime
{
    private readonly TestFolder _folder = new();
    private RichMirror _source = null!;
    private MemoryStore _target = null!;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _source = await RichMirror.StartAsync();
        _target = new MemoryStore(_source.Bench.Clock);
    }

    public async ValueTask DisposeAsync()
    {
        await _target.DisposeAsync();
        await _source.DisposeAsync();
        _folder.Dispose();
    }

    [Claim("A copy of a mirror is equal to it in every part: packages, removed ones, log, documents of the past, tarballs, counts, queue, notes, kept documents",
        With = [nameof(A_changing_source_is_copied_to_one_of_its_moments), nameof(A_document_that_counts_as_archived_is_not_stored_twice)],
        Red = "the first pass taken for the last: the first two were red; no document put as pinned: the third")]
    [Fact]
    public async Task A_copy_is_equal_in_every_part()
    {
        var summary = await _source.CopyToAsync(_target);
        Assert.Equal((true, false, 0L, 0), (summary.IsFinished, summary.IsContinued, summary.Left, summary.Found));
        Assert.Equal(await StoreDump.OfAsync(_source.Store), await StoreDump.OfAsync(_target));
        Assert.Equal((await _source.Store.Log.ReadHeadAsync(Token), await _source.Store.CountAsync(Token)), (summary.Head, summary.Counts));
        Assert.Equal(7, summary.Copied["packages"]);
        Assert.Equal(summary.Head.Position.Value, summary.Copied["log rows"]);
        Assert.Null(await _target.Notes.FindNoteAsync(MirrorCursors.Leader, Token));
    }

    [Fact]
    public async Task A_document_that_counts_as_archived_is_not_stored_twice()
    {
        var file = _folder.File(SqliteEngine.FileName);
        await using var target = new SqliteStore(file, _source.Bench.Clock);
        await target.OpenAsync(Token);
        await _source.CopyToAsync(target);
        await using var connection = new Microsoft.Data.Sqlite.SqliteConnection($"Data Source={file};Pooling=False");
        connection.Open();
        await using var command = connection.CreateCommand();
        command.CommandText = "SELECT (SELECT count(*) FROM documents WHERE is_pinned), (SELECT count(*) FROM archive a JOIN packages p ON p.id = a.package WHERE a.sha256 = p.document_sha256)";
        await using var reader = await command.ExecuteReaderAsync(Token);
        Assert.True(await reader.ReadAsync(Token));
        Assert.True(reader.GetInt64(0) > 0);
        Assert.Equal(0, reader.GetInt64(1));
    }

    [Fact]
    public async Task A_second_run_finds_nothing_new()
    {
        await _source.CopyToAsync(_target);
        var summary = await _source.CopyToAsync(_target);
        Assert.Equal((true, true), (summary.IsFinished, summary.IsContinued));
        Assert.Empty(summary.Copied);
    }

    [Claim("A copy is brought up to date: with new and changed packages, removals, what was purged, queued and done meanwhile",
        With = [$"{nameof(CopyEnginesTests)}.{nameof(CopyEnginesTests.Each_engine_brings_a_copy_up_to_date)}"],
        Red = "`PackageCopy.PurgeAsync` returns at once, or `PackageCopy.IsSame` does not compare generations: the purged documents were in the copy still")]
    [Fact]
    public async Task A_second_copy_brings_later_changes()
    {
        await _source.CopyToAsync(_target);
        var bench = _source.Bench;
        await bench.HoldAsync("new", "1.0.0");
        bench.Upstream.PublishVersion("left-pad", "3.0.0");
        await bench.SyncAsync("left-pad");
        bench.Upstream.Unpublish("ms");
        await bench.SyncAsync("ms");
        await _source.PurgeAsync("@scope/Odd");
        await _source.PurgeAsync("ms");
        await _source.PurgeAsync("holder", withPayload: false);
        await _source.CountAsync(3);
        await bench.Store.Tarballs.ForgetAccessAsync(new DateOnly(2040, 1, 1), Token);
        Assert.True(await bench.Store.Tarballs.ForgetTarballAsync((await bench.RowAsync("taken"))!, Token));
        await bench.Store.Queue.CompleteAsync((await bench.Store.Queue.TakeAsync(PackageName.Parse("retried"), TimeSpan.FromMinutes(1), Token))!, null, Token);
        await bench.Store.Queue.EnqueueAsync([_source.Item("another"), _source.Item("left-pad") with { WantedRev = "9-a" }], null, Token);
        await bench.Store.Notes.SetNoteAsync(MirrorCursors.GivenUp, null, Token);
        await bench.Store.Kept.KeepAsync("/-/npm/v1/keys", null, Token);

        var summary = await _source.CopyToAsync(_target);
        Assert.Equal((true, true, 0), (summary.IsFinished, summary.IsContinued, summary.Found));
        Assert.Equal(await StoreDump.OfAsync(_source.Store), await StoreDump.OfAsync(_target));
    }

    [Fact]
    public async Task A_changing_source_is_copied_to_one_of_its_moments()
    {
        var changes = 0;
        var restless = InterceptedStore.Over(_source.Store, call =>
        {
            // After the packages, before the log: three times.
            if (call.Method == nameof(ILogTable.ReadLogAsync) && changes < 3)
            {
                _source.Bench.HoldAsync($"new-{++changes}", "1.0.0").GetAwaiter().GetResult();
            }

            return call.Make();
        });
        var summary = await new MirrorCopy(restless, _target, null, _source.Bench.Clock).RunAsync(new CopyRequest(), Token);
        Assert.Equal((true, 3), (summary.IsFinished, changes));
        Assert.Equal(await StoreDump.OfAsync(_source.Store), await StoreDump.OfAsync(_target));
    }

    [Claim("A copy that is not whole is told so, serves nothing, and is finished by the next run",
        With = [nameof(A_copy_that_died_at_any_write_is_gone_on_with)],
        Red = "`MirrorBuilder` does not look for the note: the first was red; documents of the past copied after the rows that point into them: the second")]
    [Fact]
    public async Task A_source_that_never_rests_leaves_a_copy_that_is_not_served()
    {
        using var store = new TestFolder();
        var target = new SqliteStore(Path.Combine(store.Path, SqliteEngine.FileName), _source.Bench.Clock);
        await target.OpenAsync(Token);
        var changes = 0;
        var restless = InterceptedStore.Over(_source.Store, call =>
        {
            if (call.Method == nameof(INoteTable.ListNotesAsync))
            {
                _source.Store.Notes.SetNoteAsync(MirrorCursors.Read, $"{++changes}", Token).AsTask().GetAwaiter().GetResult();
            }

            return call.Make();
        });
        var summary = await new MirrorCopy(restless, target, null, _source.Bench.Clock).RunAsync(new CopyRequest(), Token);
        Assert.Equal((false, 1L), (summary.IsFinished, summary.Left));
        var options = new MirrorOptions { Data = store.Path, Upstream = _source.Bench.Upstream.Url.AbsoluteUri };
        var refused = await Assert.ThrowsAsync<MirrorException>(async () => await new MirrorBuilder(options).OpenAsync(Token));
        Assert.Contains("is the target of a copy that is not finished; run npm-mirror copy again", refused.Message, StringComparison.Ordinal);

        Assert.True((await _source.CopyToAsync(target)).IsFinished);
        await target.DisposeAsync();
        await using var opened = await new MirrorBuilder(options).OpenAsync(Token);
    }

    [Fact]
    public async Task A_copy_that_died_at_any_write_is_gone_on_with()
    {
        var writes = (long)1;
        for (var isWhole = false; !isWhole; writes += Math.Max(1, writes / 8))
        {
            await using var target = new MemoryStore(_source.Bench.Clock);
            var (dying, process) = DyingStore.Over(target, writes);
            try
            {
                isWhole = (await _source.CopyToAsync(dying)).IsFinished;
            }
            catch (MirrorException) when (process.IsDead)
            {
                _source.Bench.Clock.Advance(TimeSpan.FromMinutes(2));
            }

            var summary = await _source.CopyToAsync(target);
            Assert.True(summary.IsFinished);
            Assert.Equal(await StoreDump.OfAsync(_source.Store), await StoreDump.OfAsync(target));
        }

        Assert.True(writes > 40, $"Only {writes} writes.");
    }

    [Claim("A copy goes only into an empty store, or into a copy of the same mirror that was not gone on with by itself; nothing is written into another",
        Red = "`MirrorCopy.BeginAsync` does not ask whether the target is empty: the first row was red; `RequireOfThisSourceAsync` does not look for the target's head: the second")]
    [Theory]
    [InlineData("another mirror", "holds a mirror already")]
    [InlineData("a copy gone on with", "is the copy of another mirror, or was gone on with by itself")]
    [InlineData("a copy of another", "is the copy of another mirror, or was gone on with by itself")]
    [InlineData("the note of another program", "cannot be read")]
    public async Task Nothing_is_copied_over(string target, string sentence)
    {
        switch (target)
        {
            case "another mirror":
                await CommitAsync();
                break;
            case "a copy gone on with":
                await _source.CopyToAsync(_target);
                await CommitAsync();
                break;
            case "a copy of another":
                await new CopyNote("another", _source.Bench.Clock.GetUtcNow(), null, 0).KeepAsync(_target, Token);
                break;
            default:
                await _target.Notes.SetNoteAsync(MirrorCursors.Copy, "{", Token);
                break;
        }

        var before = await StoreDump.OfAsync(_target);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(_target));
        Assert.Equal(MirrorFault.StoreUnavailable, refused.Fault);
        Assert.Contains(sentence, refused.Message, StringComparison.Ordinal);
        Assert.Equal(before, await StoreDump.OfAsync(_target));

        async Task CommitAsync()
        {
            var now = _source.Bench.Clock.GetUtcNow();
            await _target.Packages.CommitAsync(
                new PackageCommit
                {
                    Name = PackageName.Parse("own"),
                    ExpectedGeneration = 0,
                    Facts = new PackageFacts { FirstSeenAt = now, StoredAt = now },
                    Document = DocumentCodecs.Encode("{}"u8),
                    Events = [EventPayload.ToPending(new PackageRestored { SeenAt = now }, 0)],
                },
                Token);
        }
    }

    [Fact]
    public async Task A_place_without_a_mirror_is_not_copied()
    {
        await using var nothing = new MemoryStore(_source.Bench.Clock);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => new MirrorCopy(nothing, _target, null, _source.Bench.Clock).RunAsync(new CopyRequest(), Token));
        Assert.Contains("holds no mirror", refused.Message, StringComparison.Ordinal);
        Assert.Null(await CopyNote.ReadAsync(_target, Token));
    }

    [Fact]
    public async Task A_copy_that_is_not_whole_is_not_copied_on()
    {
        await new CopyNote("", _source.Bench.Clock.GetUtcNow(), null, 0).KeepAsync(_source.Store, Token);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(_target));
        Assert.Contains("is the target of a copy that is not finished", refused.Message, StringComparison.Ordinal);
        Assert.Null(await CopyNote.ReadAsync(_target, Token));
    }

    [Fact]
    public async Task Two_copies_into_one_store_do_not_run_at_once()
    {
        await _target.Leases.TryHoldLeaseAsync("copy", "another", TimeSpan.FromMinutes(1), Token);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(_target));
        Assert.True(refused.IsTransient);
        Assert.Contains("Another npm-mirror copy works on", refused.Message, StringComparison.Ordinal);
    }

    [Claim("`copy` refuses a target on which a mirror works, whatever the engine, and no mirror leads there while it runs",
        With = [nameof(No_mirror_leads_on_the_target_meanwhile)], Red = "the lease of the leader not taken by `MirrorCopy`: both were red")]
    [Fact]
    public async Task A_store_that_a_mirror_works_on_takes_no_copy()
    {
        await _target.Leases.TryHoldLeaseAsync(Leadership.LeaseName, "a node", Leadership.Duration, Token);
        var refused = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(_target));
        Assert.True(refused.IsTransient);
        Assert.Contains("A mirror works on", refused.Message, StringComparison.Ordinal);
        Assert.Null(await CopyNote.ReadAsync(_target, Token));

        await _target.Leases.ReleaseLeaseAsync(Leadership.LeaseName, "a node", Token);
        Assert.True((await _source.CopyToAsync(_target)).IsFinished);
        Assert.True(await _target.Leases.TryHoldLeaseAsync(Leadership.LeaseName, "a node", Leadership.Duration, Token));
    }

    [Fact]
    public async Task No_mirror_leads_on_the_target_meanwhile()
    {
        var mayLead = new System.Collections.Concurrent.ConcurrentBag<bool>();
        await new MirrorCopy(_source.Store, _target, null, _source.Bench.Clock).RunAsync(
            new CopyRequest { Progress = _ => mayLead.Add(_target.Leases.TryHoldLeaseAsync(Leadership.LeaseName, "a node", Leadership.Duration, Token).AsTask().GetAwaiter().GetResult()) },
            Token);
        Assert.NotEmpty(mayLead);
        Assert.DoesNotContain(true, mayLead);
    }

    [Claim("A copy checks each document as it reads it, and does not take a damaged one for a good one",
        Red = "`PackageCopy.CheckAsync` returns the document as it is")]
    [Fact]
    public async Task A_damaged_document_is_not_copied()
    {
        _source.Bench.Tamper("UPDATE documents SET bytes = zeroblob(length(bytes)) WHERE package = (SELECT id FROM packages WHERE name = 'left-pad')");
        var damaged = await Assert.ThrowsAsync<MirrorException>(() => _source.CopyToAsync(_target));
        Assert.Equal(MirrorFault.StoreDamaged, damaged.Fault);
        Assert.Contains("left-pad", damaged.Message, StringComparison.Ordinal);
        Assert.Null(await _target.Packages.FindAsync(PackageName.Parse("left-pad"), Token));
    }

    [Fact]
    public async Task A_document_of_the_past_that_is_gone_is_told()
    {
        _source.Bench.Tamper("DELETE FROM archive WHERE package = (SELECT id FROM packages WHERE name = 'holder')");
        var findings = new List<CopyFinding>();
        var summary = await _source.CopyToAsync(_target, found: findings.Add);
        Assert.Equal((true, 1), (summary.IsFinished, summary.Found));
        Assert.StartsWith("holder ", Assert.Single(findings).Subject, StringComparison.Ordinal);
    }
}
