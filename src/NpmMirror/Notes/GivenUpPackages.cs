using System.Text.Json;
using System.Text.Json.Serialization;
using Microsoft.Extensions.Logging;
using NpmMirror.Diagnostics;
using NpmMirror.Storage;

namespace NpmMirror.Notes;

/// <summary>Packages that were given up after a day of tries, and why: kept for <c>status</c>, the last hundred, until a try succeeds.</summary>
internal sealed partial class GivenUpPackages : IDisposable
{
    private const int Most = 100;

    private readonly INoteTable _notes;
    private readonly TimeProvider _time;
    private readonly ILogger _logger;
    private readonly SemaphoreSlim _turn = new(1);
    private volatile HashSet<PackageName>? _names;

    internal GivenUpPackages(INoteTable notes, TimeProvider time, ILogger logger)
    {
        _notes = notes;
        _time = time;
        _logger = logger;
    }

    /// <summary>Those of a store, the newest last.</summary>
    public static async ValueTask<IReadOnlyList<GivenUp>> ReadAsync(INoteTable notes, CancellationToken cancellationToken) =>
        await notes.FindAsync(MirrorCursors.GivenUp, GivenUpJson.Default.IReadOnlyListGivenUp, cancellationToken) ?? [];

    /// <inheritdoc/>
    public void Dispose() => _turn.Dispose();

    /// <summary>Notes one.</summary>
    internal async Task AddAsync(PackageName name, int attempts, string reason, CancellationToken cancellationToken)
    {
        LogGivenUp(name, attempts, reason);
        await ChangeAsync(known => known.Where(one => one.Package != name.Value).Append(new GivenUp(name.Value, _time.GetUtcNow(), attempts, reason)).TakeLast(Most), cancellationToken);
    }

    /// <summary>Forgets one that was tried with success, if it was given up before.</summary>
    internal async ValueTask ForgetAsync(PackageName name, CancellationToken cancellationToken)
    {
        if (_names is null)
        {
            await ChangeAsync(null, cancellationToken);
        }

        if (_names!.Contains(name))
        {
            await ChangeAsync(known => known.Where(one => one.Package != name.Value), cancellationToken);
        }
    }

    private async Task ChangeAsync(Func<IEnumerable<GivenUp>, IEnumerable<GivenUp>>? change, CancellationToken cancellationToken)
    {
        await _turn.WaitAsync(cancellationToken);
        try
        {
            var known = await ReadAsync(_notes, cancellationToken);
            if (change is not null)
            {
                known = [.. change(known)];
                await _notes.SetNoteAsync(MirrorCursors.GivenUp, known.Count == 0 ? null : JsonSerializer.Serialize(known, GivenUpJson.Default.IReadOnlyListGivenUp), cancellationToken);
            }

            _names = [.. known.Select(one => PackageName.Parse(one.Package))];
        }
        finally
        {
            _turn.Release();
        }
    }

    [LoggerMessage(EventIds.Mirror + 4, LogLevel.Warning, "Package {Package} is given up after {Attempt} tries in a day, until the upstream names it again: {Reason}")]
    private partial void LogGivenUp(PackageName package, int attempt, string reason);
}

/// <summary>A package that was given up until the upstream names it again; its held versions are served.</summary>
/// <param name="Package">Its name.</param>
/// <param name="At">The time.</param>
/// <param name="Attempts">The number of tries.</param>
/// <param name="Reason">Why the last try failed.</param>
public sealed record GivenUp(string Package, DateTimeOffset At, int Attempts, string Reason);

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase)]
[JsonSerializable(typeof(IReadOnlyList<GivenUp>))]
internal sealed partial class GivenUpJson : JsonSerializerContext;
