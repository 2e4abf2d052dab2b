using System.Collections.Concurrent;
using System.Globalization;
using NpmMirror.Notes;
using NpmMirror.Testing;

namespace NpmMirror.Tests.Following;

/// <content>Rare events: nights of faults at the upstream.</content>
internal sealed partial class SimulatedWorld
{
    // Reproducible on purpose: not for secrets.
#pragma warning disable CA5394
    /// <summary>The packages that half a night denied: their state meanwhile is not known.</summary>
    private readonly ConcurrentBag<string> _denied = [];

    /// <summary>Without a list that is compared every day the follower alone must find a reset.</summary>
    private Queue<Func<CancellationToken, Task>> Nights() => new(_kind.HasList ? [ResetAsync, BadNightAsync, HalfNightAsync, ShortListAsync] : [ResetAsync, BadNightAsync, ResetAsync]);

    /// <summary>Every package is a 404 for hours; nothing is removed by it.</summary>
    private async Task BadNightAsync(CancellationToken cancellationToken)
    {
        _counts.BadNights++;
        var before = await EqualAsync(cancellationToken);
        var rules = new[] { "/p*", "/P*", "/@*" }.Select(path => _upstream.Knobs.Fail(path, 404)).ToList();
        var until = _clock.GetUtcNow() + TimeSpan.FromHours(3 + _random.Next(4));
        while (_clock.GetUtcNow() < until)
        {
            // No changes: each removal is caused by the night.
            await StepAsync(cancellationToken, isChanging: false);
        }

        var after = await HeldAsync(cancellationToken);
        rules.ForEach(_upstream.Knobs.Remove);
        var gone = before.Except(after).ToList();
        Assert.True(gone.Count == 0, $"A bad night removed {string.Join(", ", gone)}");
    }

    /// <summary>The list leaves most out, and says so or not; nothing is removed by it.</summary>
    private async Task ShortListAsync(CancellationToken cancellationToken)
    {
        _counts.ShortLists++;
        var before = await EqualAsync(cancellationToken);
        _upstream.Knobs.DocumentCount = before.Count;
        foreach (var name in before.Where(_ => _random.Next(10) > 0))
        {
            _upstream.Knobs.Unlisted[name] = true;
        }

        await _store.Notes.SetNoteAsync(MirrorCursors.ReconciliationDue, null, cancellationToken);
        await _store.Notes.SetNoteAsync(MirrorCursors.ReconciliationDue, _clock.GetUtcNow().ToString("O", CultureInfo.InvariantCulture), cancellationToken);
        var until = _clock.GetUtcNow() + TimeSpan.FromHours(2);
        while (_clock.GetUtcNow() < until)
        {
            await StepAsync(cancellationToken, isChanging: false);
        }

        var after = await HeldAsync(cancellationToken);
        _upstream.Knobs.Unlisted.Clear();
        _upstream.Knobs.DocumentCount = null;
        var gone = before.Except(after).ToList();
        Assert.True(gone.Count == 0, $"A short list removed {string.Join(", ", gone)}");
    }

    /// <summary>
    /// Half of all packages are a 404 for hours, while the others live and all of them change. The list has them still: none goes but one that
    /// was deleted meanwhile, and came back.
    /// </summary>
    private async Task HalfNightAsync(CancellationToken cancellationToken)
    {
        _counts.HalfNights++;
        var before = await EqualAsync(cancellationToken);
        var denied = before.Where(_ => _random.Next(2) == 0).ToList();
        denied.ForEach(_denied.Add);
        var rules = denied.Select(name => _upstream.Knobs.Fail($"/{name}", 404)).ToList();
        var removals = _life.RemovalCount;
        var until = _clock.GetUtcNow() + TimeSpan.FromHours(3 + _random.Next(4));
        while (_clock.GetUtcNow() < until)
        {
            await StepAsync(cancellationToken);
        }

        var after = await HeldAsync(cancellationToken);
        rules.ForEach(_upstream.Knobs.Remove);
        var gone = before.Except(after).Where(name => _upstream.Database.Find(name) is { } document && !IsGone(document)).ToList();
        Assert.True(gone.Count <= _life.RemovalCount - removals, $"Half a night removed {string.Join(", ", gone)}");
    }

    /// <summary>The feed's numbers begin anew, or leap ahead, as in a move to another database.</summary>
    private async Task ResetAsync(CancellationToken cancellationToken)
    {
        // A follower that has not reached the head may stand before it afterwards: then its unread rows would be passed over.
        await ReachHeadAsync(cancellationToken);
        _counts.Add(_kind);
        _isCheckingHandled = false;
        switch (_random.Next(5))
        {
            case 0 or 1 or 2:
                _upstream.ResetFeed(_upstream.Knobs.DatabaseId);
                break;
            case 3:
                _upstream.ResetFeed(_upstream.Knobs.Feed == FakeFeedDialect.NpmPaged ? _upstream.Knobs.DatabaseId : $"another {_random.Next()}", _upstream.HeadSequence + 100_000);
                break;
            default:
                _upstream.JumpFeed(1_000_000);
                _isCheckingHandled = true;
                break;
        }

        await StepAsync(cancellationToken);
    }

    private async Task ReachHeadAsync(CancellationToken cancellationToken)
    {
        var until = _clock.GetUtcNow() + QuietMax;
        while (await _store.Notes.FindNoteAsync(MirrorCursors.WalkHead, cancellationToken) is not null
            || new Sequence(await _store.Notes.FindNoteAsync(MirrorCursors.Read, cancellationToken) ?? "0").Order != _upstream.HeadSequence)
        {
            Assert.True(_clock.GetUtcNow() < until, $"Never came to the head at {_upstream.HeadSequence}\n{_log.Text}");
            await StepAsync(cancellationToken, isChanging: false);
        }
    }
#pragma warning restore CA5394
}
