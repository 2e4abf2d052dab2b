using NpmMirror.Storage;

namespace NpmMirror.Maintenance;

/// <summary>Counts the checks and findings of a verification, for several tasks at once, and tells them.</summary>
internal sealed class VerifyTally(VerifyRequest request)
{
    private const int TellEvery = 256;

    private readonly Lock _lock = new();
    private long _documents;
    private long _documentBytes;
    private long _found;
    private long _repaired;
    private long _logRows;
    private long _tarballs;
    private long _tarballBytes;
    private long _skipped;

    /// <summary>Why the upstream's list is not to be believed; null when it is, or was not read.</summary>
    internal string? HeldBack { get; set; }

    internal void Report(VerifyFinding finding)
    {
        lock (_lock)
        {
            _found++;
            _repaired += finding.IsRepaired ? 1 : 0;
            request.Found(finding);
        }
    }

    internal void CountLogRow(long total) => Tell("log rows", Interlocked.Increment(ref _logRows), total);

    internal void CountDocument(int rawSizeBytes, long total)
    {
        Interlocked.Add(ref _documentBytes, rawSizeBytes);
        Tell("documents", Interlocked.Increment(ref _documents), total);
    }

    internal void CountTarball(long sizeBytes, long total)
    {
        Interlocked.Add(ref _tarballBytes, sizeBytes);
        Tell("tarballs", Interlocked.Increment(ref _tarballs), total);
    }

    internal void CountSkipped() => Interlocked.Increment(ref _skipped);

    internal VerifySummary Sum(DateTimeOffset begunAt, bool isContinued, LogHead head) =>
        new(begunAt, isContinued, _logRows, _documents, _documentBytes, _tarballs, _tarballBytes, _skipped, _found, _repaired, head) { HeldBack = HeldBack };

    private void Tell(string part, long done, long total)
    {
        if (done % TellEvery == 0)
        {
            lock (_lock)
            {
                request.Progress(new VerifyProgress(part, done, Math.Max(done, total), _found));
            }
        }
    }
}
