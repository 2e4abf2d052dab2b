using NpmMirror.Storage;

namespace Engine;

/// <summary>Documents of the upstream beside the packuments.</summary>
internal sealed class LmdbKept(LmdbSession session) : IKeptTable
{
    public ValueTask<ReadOnlyMemory<byte>?> FindKeptAsync(string path, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => transaction.Find(Table.Kept, Keys.Of(path)) is { } bytes ? (ReadOnlyMemory<byte>?)bytes : null, cancellationToken);

    public async ValueTask KeepAsync(string path, ReadOnlyMemory<byte>? document, CancellationToken cancellationToken) =>
        await session.PutAsync(Table.Kept, path, document, cancellationToken);

    public IAsyncEnumerable<KeptMark> ListKeptAsync(string prefix, CancellationToken cancellationToken) => session.ListAsync(
        Table.Kept, prefix, (path, size) => new KeptMark(path, size), cancellationToken);
}
