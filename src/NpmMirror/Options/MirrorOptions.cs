using Microsoft.Extensions.Configuration;

namespace NpmMirror.Options;

/// <summary>
/// Every setting of a mirror, one tree: the same word is a dotted flag, a JSON key and, with <c>__</c> for the dots, an environment
/// variable after <c>NPM_MIRROR__</c>. Bound once, then read only. A property becomes an option by its row in OptionDefinition.All.
/// </summary>
public sealed class MirrorOptions
{
    /// <summary>The upstream registry's address. Null: the registry that npm is configured to use.</summary>
    public string? Upstream { get; set; }

    /// <summary><c>auto</c>, <c>none</c> or the address of a change feed.</summary>
    public string Feed { get; set; } = "auto";

    /// <summary>Serves held packages and sends no requests upstream: no feed, no fetch, no search. The rest is answered with a 503 that says so.</summary>
    public bool Offline { get; set; }

    /// <summary>How a live feed is read.</summary>
    public FeedMode Mode { get; set; } = FeedMode.Longpoll;

    /// <summary>Where to start: a sequence, <c>0</c> for everything, <c>now</c> for the head. Null: where the store left off.</summary>
    [ConfigurationKeyName("last_seq")]
    public string? LastSeq { get; set; }

    /// <summary>Milliseconds between polls of a live feed. Above 0 it also overrides <see cref="PollDelay"/>.</summary>
    public int Delay { get; set; }

    /// <summary>Requests to the upstream at once that no client waits for.</summary>
    public int Concurrency { get; set; } = 10;

    /// <summary>Requests a second to one host. Requests of clients go first. Null: 100, and no limit to this machine.</summary>
    public int? RequestsPerSecond { get; set; }

    /// <summary>Whether the monitor leaves out changes without a new version (tags, owners, deprecations).</summary>
    public bool PublishOnly { get; set; }

    /// <summary>Which packages are held.</summary>
    public MetadataMode Metadata { get; set; } = MetadataMode.Used;

    /// <summary>For <c>metadata=listed</c>: names and globs (<c>*</c>, <c>?</c>). <c>@names.txt</c> stands for the lines of that file.</summary>
    public IList<string> List { get; } = [];

    /// <summary>When tarballs are fetched.</summary>
    public TarballMode Tarballs { get; set; } = TarballMode.OnDemand;

    /// <summary>Whether a packument may spell its name in another case than the one asked for, as registries write that keep names in one case.</summary>
    public bool AnyCase { get; set; }

    /// <summary>The handling of packages and versions that the upstream removed.</summary>
    public RemovedOptions Removed { get; } = new();

    /// <summary>Whether removals go on although they are more than one night should bring.</summary>
    public bool AcceptRemovals { get; set; }

    /// <summary>The folder of the embedded store and of temporary files.</summary>
    public string Data { get; set; } = "./npm-mirror-data";

    /// <summary>The address and port to listen on; port 0 takes a free one. Short forms are written out: <c>4990</c> becomes <c>http://127.0.0.1:4990</c>.</summary>
    public string Listen { get; set => field = ListenAddress.WriteOut(value); } = "http://127.0.0.1:4873";

    /// <summary>The path under which the registry is served.</summary>
    public string Mount { get; set; } = "/npm";

    /// <summary>The registry's address as clients see it, mount included. Null: from the request's <c>Host</c>, when allowed.</summary>
    public string? PublicUrl { get; set => field = PublicAddress.WriteOut(value); }

    /// <summary>Host names that a request may name, besides loopback, this machine's own and the listen address.</summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Addresses of proxies whose <c>X-Forwarded-*</c> headers are believed.</summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>Hosts besides the upstream's own from which tarballs may be fetched.</summary>
    public IList<string> TarballHosts { get; } = [];

    /// <summary>How old a packument may be before it is revalidated, if no feed tells of changes.</summary>
    public TimeSpan Ttl { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a client waits for that; then it gets the held document, and the comparison goes on in the background.</summary>
    public TimeSpan RevalidateWait { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a confirmed 404 of the upstream is remembered, for a package, a version and a tarball.</summary>
    public TimeSpan NegativeTtl { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long to wait after a page of the paged feed that was not full.</summary>
    public TimeSpan PollDelay { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How often everything held is revalidated, if no feed tells of changes. Null: only on request.</summary>
    public TimeSpan? Revalidate { get; set; }

    /// <summary>How often everything held is compared with the upstream's list, if a feed is followed. Zero: only by hand.</summary>
    public TimeSpan Reconcile { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The stretches of a feed with late rows that are read again.</summary>
    public RereadOptions Reread { get; } = new();

    /// <summary>The longest packument accepted, in bytes of raw JSON.</summary>
    public int PackumentMaxBytes { get; set; } = 256 * 1024 * 1024;

    /// <summary>The longest tarball accepted, in bytes.</summary>
    public long TarballMaxBytes { get; set; } = 4L * 1024 * 1024 * 1024;

    /// <summary>Bodies in memory at once, in bytes, shared by syncing and serving.</summary>
    public long BudgetBytes { get; set; } = 128L * 1024 * 1024;

    /// <summary>Rendered packuments kept in memory, in bytes.</summary>
    public long CacheBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>How long a single request to the upstream may wait for headers or for the next bytes.</summary>
    public TimeSpan UpstreamTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an audit may wait for the upstream. One that npm makes by itself at the end of an install waits 3 s at most.</summary>
    public TimeSpan AuditTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Attestations kept, in bytes. More are passed on and not kept.</summary>
    public long AttestationsMaxBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>Whether web pages of other sites may read answers.</summary>
    public CrossOriginMode CrossOrigin { get; set; } = CrossOriginMode.Auto;

    /// <summary>Whether the page for people is served: state, packages, set-up.</summary>
    public bool Ui { get; set; } = true;

    /// <summary>Who answers searches.</summary>
    public SearchMode Search { get; set; } = SearchMode.Local;

    /// <summary>The engines of metadata and tarballs.</summary>
    public StoreOptions Store { get; } = new();

    /// <summary>The rules and times of collections.</summary>
    public GcOptions Gc { get; } = new();

    /// <summary>The access of administrators.</summary>
    public AdminOptions Admin { get; } = new();

    /// <summary>A CouchDB by its parts: the feed, and the upstream if none is named; not together with <see cref="Feed"/>.</summary>
    public CouchOptions Couch { get; } = new();

    /// <summary>How much is logged.</summary>
    public LogOptions Log { get; } = new();

    /// <summary>
    /// Makes the server that <see cref="Couch"/> names the feed, and the upstream if none is named: it gives the documents of its feed.
    /// Does nothing the second time.
    /// </summary>
    /// <returns>Whether the feed and the upstream are that server.</returns>
    internal (bool IsFeed, bool IsUpstream) TakeCouch()
    {
        if (Couch.ToAddress() is not { } address)
        {
            return (false, false);
        }

        Feed = address;
        Upstream ??= address;
        return (true, Upstream == address);
    }

    /// <summary>The same options, which later changes of these do not reach.</summary>
    internal MirrorOptions Copy()
    {
        var copy = new MirrorOptions();
        foreach (var option in OptionDefinition.All)
        {
            switch (option.Get(this))
            {
                case IList<string> values:
                    foreach (var value in values)
                    {
                        ((IList<string>)option.Get(copy)!).Add(value);
                    }

                    break;
                case IDictionary<string, string> values:
                    foreach (var (name, value) in values)
                    {
                        ((IDictionary<string, string>)option.Get(copy)!)[name] = value;
                    }

                    break;
                case { } value:
                    option.Set(copy, value);
                    break;
            }
        }

        return copy;
    }
}
