using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>Takes over rows of another store as they are.</summary>
internal sealed class RedisImport(RedisSession session, RedisNumbering numbering) : IImportTable
{
    // A document that was sent and never put expires.
    private static readonly TimeSpan SentMax = TimeSpan.FromMinutes(10);

    /// <inheritdoc/>
    public async ValueTask PutPackageAsync(StoredPackage package, bool isPinned, CancellationToken cancellationToken)
    {
        var row = package.Row;
        var document = session.Address.IsCompact ? package.Document : package.Document.As(DocumentCodec.Identity, row.Name);
        var keys = session.Keys.Of(row.Name);
        var previous = await ReadAsync(row.Name, cancellationToken);
        var note = Guid.NewGuid().ToString("N");
        await SendAsync(row, document, keys.Sent(note, "document"), note, cancellationToken);
        var isShown = document.Codec == DocumentCodec.Identity && !row.Facts.IsRemoved && !session.Address.IsCompact;
        RedisKey[] places = [keys.Row, keys.Module, keys.Document, keys.Sent(note, "document"), keys.Archived, keys.Archive(previous.Sha256)];
        RedisValue[] values =
        [
            note,
            row.Generation,
            row.LastPosition.Value,
            (int)document.Codec,
            row.RawSizeBytes,
            row.DocumentSha256.Hex,
            isShown ? "module" : "document",
            isPinned,
            FactsText.Write(row.Facts),
            row.Index.ToArray(),
        ];
        var breaks = session.Breaks;
        if (!(bool)await session.RunAsync(RedisScripts.Put, places, values, cancellationToken))
        {
            throw new MirrorException(MirrorFault.StoreUnavailable, $"{session.Location} lost a document between its sending and its row.", isTransient: true);
        }

        await session.ConfirmAsync([keys.Row], breaks, cancellationToken);
        await numbering.SettleAsync(row.Name, note, cancellationToken);
    }

    /// <inheritdoc/>
    public async ValueTask<bool> PutArchivedAsync(PackageName name, StoredDocument document, CancellationToken cancellationToken)
    {
        var (keys, sha256) = (session.Keys.Of(name), document.Sha256.Hex);
        var row = await ReadAsync(name, cancellationToken);
        var isThere = row.IsThere && ((row.IsPinned && row.Sha256 == sha256) || await session.RunAsync(database => database.HashExistsAsync(keys.Archived, sha256, RedisSession.Flags), cancellationToken));
        if (!row.IsThere || isThere)
        {
            return row.IsThere;
        }

        // The bytes first: readers look for their form.
        var breaks = session.Breaks;
        if (document.Codec != DocumentCodec.Purged)
        {
            await session.RunAsync(database => database.StringSetAsync(keys.Archive(sha256), document.Bytes, flags: RedisSession.Flags), cancellationToken);
        }

        var form = new ArchivedForm(document.Codec, document.RawSizeBytes).ToString();
        await session.RunAsync(database => database.HashSetAsync(keys.Archived, sha256, form, When.Always, RedisSession.Flags), cancellationToken);
        await session.ConfirmAsync([keys.Row], breaks, cancellationToken);
        return true;
    }

    /// <inheritdoc/>
    public async ValueTask<int> AppendLogAsync(IReadOnlyList<LogRow> rows, CancellationToken cancellationToken)
    {
        var names = rows.Select(row => row.Package).Distinct().ToList();
        var areThere = await session.RunAsync(
            database => Task.WhenAll(names.Select(name => database.HashExistsAsync(session.Keys.Of(name).Row, RedisRow.Fields[0], RedisSession.Flags))), cancellationToken);
        var there = names.Zip(areThere).Where(pair => pair.Second).Select(pair => pair.First).ToHashSet();
        List<LogRow> known = [.. rows.TakeWhile(row => there.Contains(row.Package))];
        await numbering.AppendAsync(known);
        return known.Count;
    }

    private async ValueTask<RedisRow> ReadAsync(PackageName name, CancellationToken cancellationToken) =>
        new(name, await session.RunAsync(database => database.HashGetAsync(session.Keys.Of(name).Row, RedisRow.CommitFields, RedisSession.Flags), cancellationToken));

    private async ValueTask SendAsync(PackageRow row, StoredDocument document, RedisKey place, string note, CancellationToken cancellationToken) => await session.RunAsync(
        async database =>
        {
            var sending = new List<Task> { database.HashSetAsync(session.Keys.Unsettled, row.Name.Value, note, When.Always, RedisSession.Flags) };
            if (document.Codec != DocumentCodec.Purged)
            {
                sending.Add(database.StringSetAsync(place, document.Bytes, SentMax, When.Always, RedisSession.Flags));
            }

            if (row.Facts.IsRemoved && !session.Address.IsCompact && document.Codec == DocumentCodec.Identity)
            {
                sending.Add(database.StringSetAsync(session.Keys.Tombstone(row.Name), document.Bytes, flags: RedisSession.Flags));
            }

            await Task.WhenAll(sending);
            return true;
        },
        cancellationToken);
}
