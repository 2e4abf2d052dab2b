using NpmMirror.Storage;

namespace Engine;

/// <summary>The mirror's own notes.</summary>
internal sealed class LmdbNotes(LmdbSession session) : INoteTable
{
    public ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => transaction.Find(Table.Notes, Keys.Of(key)) is { } text ? System.Text.Encoding.UTF8.GetString(text) : null, cancellationToken);

    public async ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken) =>
        await session.PutAsync(Table.Notes, key, text is null ? default(ReadOnlyMemory<byte>?) : Keys.Of(text), cancellationToken);

    public IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, CancellationToken cancellationToken) => session.ListAsync(
        Table.Notes, prefix, (key, size) => new NoteMark(key, size), cancellationToken);
}
