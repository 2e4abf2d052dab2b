using System.Collections.Concurrent;
using System.Collections.Immutable;

namespace NpmMirror.Testing;

/// <summary>The dialect of the feed.</summary>
public enum FakeFeedDialect
{
    /// <summary>There is no feed: a 404.</summary>
    None,

    /// <summary>As CouchDB: normal, longpoll, continuous, heartbeat, include_docs, since=now.</summary>
    CouchDb,

    /// <summary>As npm's replication service since 2025: pages by since and limit only, anything else is a 400.</summary>
    NpmPaged,
}

/// <summary>How sequences are written.</summary>
public enum FakeSequenceStyle
{
    /// <summary><c>12</c>.</summary>
    Number,

    /// <summary><c>"12-g1AAAA…"</c>, accepted back only verbatim.</summary>
    Text,

    /// <summary><c>[12,"g1AAAA…"]</c>, accepted back only verbatim.</summary>
    Array,
}

/// <summary>The abilities and faults of this registry. Everything may be changed while it runs, from any thread.</summary>
public sealed class FakeKnobs
{
    private ImmutableArray<FakeRule> _rules = [];

    /// <summary>True: each request for a packument gets the full one.</summary>
    public bool IsFullOnly { get; set; }

    /// <summary>Whether packuments carry an ETag.</summary>
    public bool HasETag { get; set; } = true;

    /// <summary>Whether packuments carry Last-Modified.</summary>
    public bool HasLastModified { get; set; } = true;

    /// <summary>Whether every conditional request is a 304, as of registries whose validators do not change with the document.</summary>
    public bool IsNeverModified { get; set; }

    /// <summary>Whether bodies are compressed if the client accepts it.</summary>
    public bool HasGzip { get; set; } = true;

    /// <summary>Whether packuments carry <c>_rev</c>.</summary>
    public bool HasRevision { get; set; } = true;

    /// <summary>Whether packuments carry <c>modified</c> (<c>time.modified</c> in the full form).</summary>
    public bool HasModified { get; set; } = true;

    /// <summary>Whether the signing keys are told.</summary>
    public bool HasKeys { get; set; } = true;

    /// <summary>Whether tarballs are served in ranges.</summary>
    public bool HasRanges { get; set; } = true;

    /// <summary>The feed's dialect.</summary>
    public FakeFeedDialect Feed { get; set; } = FakeFeedDialect.CouchDb;

    /// <summary>How sequences are written.</summary>
    public FakeSequenceStyle Sequences { get; set; } = FakeSequenceStyle.Number;

    /// <summary>The feed is written and flushed in pieces of so many bytes; 0: as it comes.</summary>
    public int FeedPieceBytes { get; set; }

    /// <summary>A name for the database's life; another name means another database.</summary>
    public string DatabaseId { get; set; } = "5f1c9a6d2b7e4c0f8a3d6e9b1c4f7a20";

    /// <summary>The number of documents that the feed claims, or null for the truth.</summary>
    public long? DocumentCount { get; set; }

    /// <summary>The required <c>Authorization</c> header, or null: open to all.</summary>
    public string? RequiredAuthorization { get; set; }

    /// <summary>Names whose packument is still the one before the newest, as if a cache lagged the feed.</summary>
    public ConcurrentDictionary<string, bool> Lagging { get; } = new(StringComparer.Ordinal);

    /// <summary>Name → the package whose packument is served instead.</summary>
    public ConcurrentDictionary<string, string> ServedInstead { get; } = new(StringComparer.Ordinal);

    /// <summary>Names that the list of everything leaves out.</summary>
    public ConcurrentDictionary<string, bool> Unlisted { get; } = new(StringComparer.Ordinal);

    /// <summary>Random faults.</summary>
    public FakeMishaps Mishaps { get; } = new();

    /// <summary>The rules in force.</summary>
    public IReadOnlyList<FakeRule> Rules => _rules;

    /// <summary>Puts a rule into force.</summary>
    public FakeRule Add(FakeRule rule)
    {
        ImmutableInterlocked.Update(ref _rules, rules => rules.Add(rule));
        return rule;
    }

    /// <summary>Ends a rule.</summary>
    public void Remove(FakeRule rule) => ImmutableInterlocked.Update(ref _rules, rules => rules.Remove(rule));

    /// <summary>Ends all rules.</summary>
    public void Clear() => ImmutableInterlocked.Update(ref _rules, _ => []);

    /// <summary>Holds the answers of a path back; open the gate to let them go.</summary>
    public FakeGate Hold(string path)
    {
        var gate = new FakeGate();
        Add(new FakeRule { Path = path, Gate = gate });
        return gate;
    }

    /// <summary>Answers a path with a status and an HTML body, so many times.</summary>
    public FakeRule Fail(string path, int status, int timesMax = int.MaxValue, string? retryAfter = null) =>
        Add(new FakeRule { Path = path, Status = status, TimesMax = timesMax, RetryAfter = retryAfter });

    /// <summary>The rules for one request: all matching ones, the later ones winning.</summary>
    internal FakeDisturbance For(string method, string path)
    {
        var sum = new FakeDisturbance();
        foreach (var rule in _rules)
        {
            if (rule.Applies(method, path))
            {
                sum.Add(rule);
            }
        }

        return sum;
    }
}
