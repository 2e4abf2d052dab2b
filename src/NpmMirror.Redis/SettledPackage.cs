using NpmMirror.Log;
using NpmMirror.Storage;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>A package with lists and a log that may be older than its row.</summary>
/// <param name="Name">The package.</param>
/// <param name="Row">Its row, without its index; null where there is none.</param>
/// <param name="Pending">Its events that wait for their numbers; not all of them, where <paramref name="HasMore"/>.</param>
/// <param name="HasMore">Whether more wait.</param>
internal sealed record SettledPackage(PackageName Name, PackageRow? Row, IReadOnlyList<(long Generation, PendingEvent Event)> Pending, bool HasMore)
{
    /// <summary>Events of one package that are numbered at once.</summary>
    internal const int PendingMax = 1000;

    internal static async Task<SettledPackage> ReadAsync(IDatabase database, RedisKeys all, PackageName name)
    {
        var keys = all.Of(name);
        var fields = database.HashGetAsync(keys.Row, RedisRow.ListFields, RedisSession.Flags);
        var texts = await database.ListRangeAsync(keys.Pending, 0, PendingMax - 1, RedisSession.Flags);
        var row = new RedisRow(name, [.. await fields, ""]);
        return new SettledPackage(
            name,
            row.IsThere ? row.Read(null) : null,
            [.. texts.Select(text => EventText.ReadPending((byte[])text!)).OfType<(long, PendingEvent)>()],
            texts.Length == PendingMax);
    }

    /// <summary>The key and the text of the package in the lists; null where it has no row.</summary>
    internal string? Mark => Row is null ? null : ListedMark.Write(Row);
}
