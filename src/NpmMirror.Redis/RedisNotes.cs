using System.Runtime.CompilerServices;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Texts under a key. One of them, how far the feed was handled, is the classic cursor and lies under its classic key.</summary>
internal sealed class RedisNotes(RedisSession session) : INoteTable
{
    private const string LastSequence = "seq:last_seq";
    private const int PageMax = 256;

    /// <inheritdoc/>
    public async ValueTask<string?> FindNoteAsync(string key, CancellationToken cancellationToken) => await session.RunAsync(
        database => key == LastSequence ? database.StringGetAsync(session.Keys.LastSequence, RedisSession.Flags) : database.HashGetAsync(session.Keys.Notes, key, RedisSession.Flags),
        cancellationToken);

    /// <inheritdoc/>
    public async ValueTask SetNoteAsync(string key, string? text, CancellationToken cancellationToken)
    {
        var breaks = session.Breaks;
        await session.RunAsync(
            async database =>
            {
                var keys = session.Keys;
                if (key == LastSequence)
                {
                    // It lies elsewhere in a cluster: listed first, because a listed key may have no text.
                    await database.SortedSetAddAsync(keys.NoteKeys, key, 0, RedisSession.Flags);
                    return text is null ? await database.KeyDeleteAsync(keys.LastSequence, RedisSession.Flags) : await database.StringSetAsync(keys.LastSequence, text, flags: RedisSession.Flags);
                }

                var transaction = database.CreateTransaction();
                var written = text is null ? transaction.HashDeleteAsync(keys.Notes, key, RedisSession.Flags) : transaction.HashSetAsync(keys.Notes, key, text, When.Always, RedisSession.Flags);
                var listed = text is null ? transaction.SortedSetRemoveAsync(keys.NoteKeys, key, RedisSession.Flags) : transaction.SortedSetAddAsync(keys.NoteKeys, key, 0, RedisSession.Flags);
                await transaction.ExecuteAsync(RedisSession.Flags);
                await Task.WhenAll(written, listed);
                return true;
            },
            cancellationToken);
        await session.ConfirmAsync([key == LastSequence ? session.Keys.LastSequence : session.Keys.Notes], breaks, cancellationToken);
    }

    /// <inheritdoc/>
    public async IAsyncEnumerable<NoteMark> ListNotesAsync(string prefix, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        await foreach (var page in RedisLists.PagesAsync(session, session.Keys.NoteKeys, prefix, prefix, PageMax, cancellationToken))
        {
            var lengths = await session.RunAsync(database => Task.WhenAll(page.Select(key => ReadLengthAsync(database, key))), cancellationToken);
            foreach (var (key, length) in page.Zip(lengths))
            {
                if (length is { } bytes)
                {
                    yield return new NoteMark(key, bytes);
                }
            }
        }
    }

    private async Task<long?> ReadLengthAsync(IDatabase database, string key)
    {
        var keys = session.Keys;
        var (isThere, length) = key == LastSequence
            ? (database.KeyExistsAsync(keys.LastSequence, RedisSession.Flags), database.StringLengthAsync(keys.LastSequence, RedisSession.Flags))
            : (database.HashExistsAsync(keys.Notes, key, RedisSession.Flags), database.HashStringLengthAsync(keys.Notes, key, RedisSession.Flags));
        return await isThere ? await length : null;
    }
}
