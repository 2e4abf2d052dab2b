using Npgsql;
using static NpmMirror.Postgres.PostgresValues;

namespace NpmMirror.Postgres;

/// <summary>
/// Child rows of one or more packages on their way to the server: as arrays, one statement a table, whatever number of rows. They are sent with what the
/// transaction sends next, or by themselves where they become large.
/// </summary>
internal sealed class QueryRows(NpgsqlConnection connection)
{
    private const int VersionsMax = 10_000;
    private const long CharsMax = 8 * 1024 * 1024;

    private const string DropVersions = "delete from package_versions v using unnest($1, $2) as gone (package, version) where v.package = gone.package and v.version = gone.version";

    private const string DropWords =
        """
        delete from package_words w using unnest($1, $2) as whole (package, kind) where w.package = whole.package and w.kind = whole.kind
            and not exists (select from unnest($3, $4, $5, $6) as n (package, kind, word, value) where (n.package, n.kind, n.word, n.value) = (w.package, w.kind, w.word, w.value))
        """;

    private const string PutVersions =
        """
        insert into package_versions (package, version, published_at, license, deprecated, dependencies, manifest)
        select package, version, published_at, license, deprecated, dependencies::jsonb, jsonb_or_null(manifest)
        from unnest($1, $2, $3, $4, $5, $6, $7) as n (package, version, published_at, license, deprecated, dependencies, manifest)
        on conflict do nothing
        """;

    private const string PutWords = "insert into package_words (package, kind, word, value) select * from unnest($1, $2, $3, $4) on conflict do nothing";

    private readonly List<long> _emptied = [];
    private readonly List<(long Package, string Version)> _dropped = [];
    private readonly List<VersionValues> _versions = [];
    private readonly List<(long Package, WordKind Kind)> _whole = [];
    private readonly List<(long Package, WordKind Kind, string Word, string Value)> _words = [];
    private long _chars;

    /// <summary>Drops all rows of a package; those added later are its only ones.</summary>
    internal void Empty(long package) => _emptied.Add(package);

    /// <summary>Drops a version. One that is added later under the same name takes its place.</summary>
    internal void Drop(long package, string version) => _dropped.Add((package, version));

    /// <summary>Adds a version.</summary>
    internal async ValueTask AddAsync(VersionValues version, CancellationToken cancellationToken)
    {
        _versions.Add(version);
        _chars += version.Chars;
        if (_versions.Count >= VersionsMax || _chars >= CharsMax)
        {
            await using var batch = new NpgsqlBatch(connection);
            MoveTo(batch);
            await batch.ExecuteNonQueryAsync(cancellationToken);
        }
    }

    /// <summary>Adds words. Of the kinds in <paramref name="whole"/> these are all that the package has; others stay.</summary>
    internal void Add(long package, IEnumerable<(WordKind Kind, string Word, string Value)> words, IEnumerable<WordKind> whole)
    {
        _words.AddRange(words.Select(word => (package, word.Kind, word.Word, word.Value)));
        _whole.AddRange(whole.Select(kind => (package, kind)));
    }

    /// <summary>Adds the statements to a batch.</summary>
    internal void MoveTo(NpgsqlBatch batch)
    {
        NpgsqlParameter[] Words() => [Params(_words.Select(word => word.Package)), Params(_words.Select(word => (short)word.Kind)), Params(_words.Select(word => word.Word)), Params(_words.Select(word => word.Value))];
        if (_emptied.Count > 0)
        {
            batch.Add("delete from package_versions where package = any($1)", Params(_emptied));
            batch.Add("delete from package_words where package = any($1)", Params(_emptied));
        }

        if (_dropped.Count > 0)
        {
            batch.Add(DropVersions, Params(_dropped.Select(gone => gone.Package)), Params(_dropped.Select(gone => gone.Version)));
        }

        if (_whole.Count > 0)
        {
            batch.Add(DropWords, [Params(_whole.Select(whole => whole.Package)), Params(_whole.Select(whole => (short)whole.Kind)), .. Words()]);
        }

        if (_versions.Count > 0)
        {
            batch.Add(
                PutVersions,
                Params(_versions.Select(version => version.Package)),
                Params(_versions.Select(version => version.Version)),
                Params(_versions.Select(version => version.PublishedAt)),
                Params(_versions.Select(version => version.License)),
                Params(_versions.Select(version => version.Deprecated)),
                Params(_versions.Select(version => version.Dependencies)),
                Params(_versions.Select(version => version.Manifest)));
        }

        if (_words.Count > 0)
        {
            batch.Add(PutWords, Words());
        }

        _emptied.Clear();
        _dropped.Clear();
        _versions.Clear();
        _whole.Clear();
        _words.Clear();
        _chars = 0;
    }
}

/// <summary>A version as a row.</summary>
/// <param name="Package">The package's number.</param>
/// <param name="Version">Its text.</param>
/// <param name="PublishedAt">When it was published.</param>
/// <param name="License">Its license.</param>
/// <param name="Deprecated">Why it is deprecated.</param>
/// <param name="Dependencies">An object in JSON: names and ranges; null where there is none.</param>
/// <param name="Manifest">The small part of its manifest in JSON, by option.</param>
internal sealed record VersionValues(long Package, string Version, DateTimeOffset? PublishedAt, string? License, string? Deprecated, string? Dependencies, string? Manifest)
{
    internal long Chars => Version.Length + (License?.Length ?? 0) + (Deprecated?.Length ?? 0) + (Dependencies?.Length ?? 0) + (Manifest?.Length ?? 0);
}
