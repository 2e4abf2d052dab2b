using System.Globalization;
using NpmMirror;
using NpmMirror.Storage;

namespace Engine;

/// <summary>The rows of tarballs, how many of them need which bytes, and who fetched them.</summary>
internal sealed class LmdbTarballs(LmdbSession session) : ITarballTable
{
    private const int ForgetMax = 1000;

    public ValueTask<TarballRow?> FindTarballAsync(PackageName package, string file, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => transaction.FindRow<TarballRow>(Table.Tarballs, KeyOf(package, file)), cancellationToken);

    public ValueTask<bool> PutTarballAsync(TarballRow row, CancellationToken cancellationToken) => session.WriteAsync(
        transaction =>
        {
            var stored = transaction.FindRow<TarballRow>(Table.Tarballs, KeyOf(row.Package, row.File));
            if (stored is { State: TarballState.Held } && stored.Sha512 != row.Sha512)
            {
                return false;
            }

            Put(transaction, stored, row with { LastServedAt = Later(row.LastServedAt, stored?.LastServedAt) });
            return true;
        },
        cancellationToken);

    public ValueTask StampServedAsync(IReadOnlyList<TarballServed> served, CancellationToken cancellationToken) => StampAsync(
        served.Select(stamp => (KeyOf(stamp.Package, stamp.File), (Func<TarballRow, TarballRow>)(row => row with { LastServedAt = Later(row.LastServedAt, stamp.At) }))), cancellationToken);

    public ValueTask StampVerifiedAsync(IReadOnlyList<TarballVerified> verified, CancellationToken cancellationToken) => StampAsync(
        verified.Select(stamp => (KeyOf(stamp.Package, stamp.File), (Func<TarballRow, TarballRow>)(row =>
            row.State != TarballState.Held || row.Sha512 != stamp.Sha512 ? row : row with { VerifiedAt = stamp.At is { } at ? Later(row.VerifiedAt, at) : null }))),
        cancellationToken);

    public ValueTask<bool> ForgetTarballAsync(TarballRow row, CancellationToken cancellationToken) => session.WriteAsync(
        transaction =>
        {
            if (row.State != TarballState.Held || transaction.FindRow<TarballRow>(Table.Tarballs, KeyOf(row.Package, row.File)) != row)
            {
                return false;
            }

            Put(transaction, row, null);
            return true;
        },
        cancellationToken);

    public ValueTask<bool> IsReferencedAsync(Digest sha512, CancellationToken cancellationToken) =>
        session.ReadAsync(transaction => transaction.Has(Table.References, sha512.Bytes.ToArray()), cancellationToken);

    public IAsyncEnumerable<TarballRow> ListTarballsAsync(PackageName? package, CancellationToken cancellationToken) =>
        ListAsync<TarballRow>(Table.Tarballs, package is { } name ? Keys.OfAll(name.Value) : [], cancellationToken);

    public ValueTask RecordAccessAsync(IReadOnlyList<TarballAccess> accesses, CancellationToken cancellationToken) => new(session.WriteAsync(
        transaction =>
        {
            foreach (var access in accesses)
            {
                var day = access.Day.ToString("O", CultureInfo.InvariantCulture);
                var key = Keys.OfAll(access.Package.Value, access.File, access.Client, day);
                var before = transaction.FindRow<Access>(Table.Access, key)?.Row.Count ?? 0;
                transaction.PutRow(Table.Access, key, new Access(access with { Count = before + access.Count }));
                transaction.Put(Table.AccessDays, Keys.OfAll(day, access.Package.Value, access.File, access.Client), key);
            }

            return true;
        },
        cancellationToken).AsTask());

    public IAsyncEnumerable<TarballAccess> ListAccessAsync(PackageName package, string? file, CancellationToken cancellationToken) =>
        ListAsync<Access>(Table.Access, file is null ? Keys.OfAll(package.Value) : Keys.OfAll(package.Value, file), cancellationToken).Select(access => access.Row);

    public async ValueTask<int> ForgetAccessAsync(DateOnly day, CancellationToken cancellationToken)
    {
        var end = Keys.Of(day.ToString("O", CultureInfo.InvariantCulture));
        for (var forgotten = 0; ;)
        {
            var count = await session.WriteAsync(
                transaction =>
                {
                    var old = transaction.From(Table.AccessDays, []).TakeWhile(one => one.Key.AsSpan().SequenceCompareTo(end) < 0).Take(ForgetMax).ToList();
                    old.ForEach(one => transaction.Remove(Table.AccessDays, one.Key));
                    old.ForEach(one => transaction.Remove(Table.Access, one.Value));
                    return old.Count;
                },
                cancellationToken);
            forgotten += count;
            if (count < ForgetMax)
            {
                return forgotten;
            }
        }
    }

    private static void Put(LmdbTransaction transaction, TarballRow? previous, TarballRow? row)
    {
        var counts = transaction.Counts;
        foreach (var (one, by) in new[] { (previous, -1), (row, 1) })
        {
            if (one is { State: TarballState.Held })
            {
                counts = counts with { Tarballs = counts.Tarballs + by, TarballBytes = counts.TarballBytes + (by * one.SizeBytes) };
                Refer(transaction, one.Sha512, by);
            }
        }

        transaction.Counts = counts;
        if (row is not null)
        {
            transaction.PutRow(Table.Tarballs, KeyOf(row.Package, row.File), row);
        }
        else if (previous is not null)
        {
            transaction.Remove(Table.Tarballs, KeyOf(previous.Package, previous.File));
        }
    }

    // How many held rows name these bytes.
    private static void Refer(LmdbTransaction transaction, Digest sha512, int by)
    {
        var key = sha512.Bytes.ToArray();
        var count = (transaction.Find(Table.References, key) is { } value ? BitConverter.ToInt64(value) : 0) + by;
        if (count > 0)
        {
            transaction.Put(Table.References, key, BitConverter.GetBytes(count));
        }
        else
        {
            transaction.Remove(Table.References, key);
        }
    }

    private static byte[] KeyOf(PackageName package, string file) => Keys.OfAll(package.Value, file);

    private static DateTimeOffset? Later(DateTimeOffset? left, DateTimeOffset? right) => left is null || right > left ? right : left;

    private ValueTask StampAsync(IEnumerable<(byte[] Key, Func<TarballRow, TarballRow> Stamp)> stamps, CancellationToken cancellationToken) => new(session.WriteAsync(
        transaction =>
        {
            foreach (var (key, stamp) in stamps)
            {
                if (transaction.FindRow<TarballRow>(Table.Tarballs, key) is { } row)
                {
                    transaction.PutRow(Table.Tarballs, key, stamp(row));
                }
            }

            return true;
        },
        cancellationToken).AsTask());

    private IAsyncEnumerable<T> ListAsync<T>(Table table, byte[] prefix, CancellationToken cancellationToken) => session.ListAsync(
        prefix, (transaction, from) => transaction.From(table, from, prefix).Select(one => (Keys.After(one.Key), LmdbTransaction.Decode<T>(one.Value))), cancellationToken);

    private sealed record Access(TarballAccess Row);
}
