using System.Runtime.CompilerServices;
using NpmMirror.Storage;

namespace NpmMirror.Tests;

/// <summary>Blobs at whose calls a test can act as another process at that moment, or as a disk that fails.</summary>
internal sealed class HookedBlobs(IBlobStore inner) : IBlobStore
{
    public Func<CancellationToken, ValueTask>? BeforeCommit { get; set; }

    public Func<CancellationToken, ValueTask>? BeforeList { get; set; }

    public Func<CancellationToken, ValueTask>? AfterList { get; set; }

    public Func<CancellationToken, ValueTask>? BeforeOpen { get; set; }

    public Func<BlobReader, BlobReader>? Opened { get; set; }

    public string? WhyNotWritable { get; set; }

    public string Location => inner.Location;

    public async ValueTask<BlobReader?> OpenAsync(Digest sha512, CancellationToken cancellationToken)
    {
        await CallAsync(BeforeOpen, cancellationToken);
        return await inner.OpenAsync(sha512, cancellationToken) is { } reader ? Opened?.Invoke(reader) ?? reader : null;
    }

    public async ValueTask<BlobWriter> CreateAsync(CancellationToken cancellationToken) => new Writer(await inner.CreateAsync(cancellationToken), token => CallAsync(BeforeCommit, token));

    public ValueTask<bool> ExistsAsync(Digest sha512, CancellationToken cancellationToken) => inner.ExistsAsync(sha512, cancellationToken);

    public ValueTask<CondemnedBlob?> CondemnAsync(Digest sha512, CancellationToken cancellationToken) => inner.CondemnAsync(sha512, cancellationToken);

    public IAsyncEnumerable<CondemnedBlob> ListCondemnedAsync(CancellationToken cancellationToken) => inner.ListCondemnedAsync(cancellationToken);

    public ValueTask<UnfinishedBlobs> RemoveUnfinishedAsync(bool isDryRun, CancellationToken cancellationToken) => inner.RemoveUnfinishedAsync(isDryRun, cancellationToken);

    public async IAsyncEnumerable<BlobInfo> ListAsync([EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await CallAsync(BeforeList, cancellationToken);
        await foreach (var blob in inner.ListAsync(cancellationToken))
        {
            yield return blob;
        }

        await CallAsync(AfterList, cancellationToken);
    }

    public async ValueTask<string?> CheckWritableAsync(CancellationToken cancellationToken) => WhyNotWritable ?? await inner.CheckWritableAsync(cancellationToken);

    private static ValueTask CallAsync(Func<CancellationToken, ValueTask>? hook, CancellationToken cancellationToken) => hook?.Invoke(cancellationToken) ?? ValueTask.CompletedTask;

    private sealed class Writer(BlobWriter inner, Func<CancellationToken, ValueTask> beforeCommit) : BlobWriter
    {
        public override long LengthBytes => inner.LengthBytes;

        public override ValueTask AppendAsync(ReadOnlyMemory<byte> bytes, CancellationToken cancellationToken) => inner.AppendAsync(bytes, cancellationToken);

        public override ValueTask<int> ReadAsync(long offset, Memory<byte> buffer, CancellationToken cancellationToken) => inner.ReadAsync(offset, buffer, cancellationToken);

        public override Digest ComputeSha512() => inner.ComputeSha512();

        public override async ValueTask<Digest> CommitAsync(CancellationToken cancellationToken)
        {
            await beforeCommit(cancellationToken);
            return await inner.CommitAsync(cancellationToken);
        }

        public override ValueTask DisposeAsync() => inner.DisposeAsync();
    }
}
