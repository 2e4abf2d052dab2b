using System.ComponentModel;
using System.ComponentModel.DataAnnotations;
using Microsoft.Extensions.Configuration;

namespace NpmMirror.Options;

/// <summary>
/// Every setting of a mirror, one tree: the same word is a dotted flag, a JSON key and, with <c>__</c> for the dots, an environment
/// variable after <c>NPM_MIRROR__</c>. Bound once, then read only. The descriptions are what <c>--help</c> prints.
/// </summary>
public sealed class MirrorOptions
{
    /// <summary>The upstream registry's address. Null: the registry that npm is configured to use.</summary>
    [Description("The upstream registry's address; default: the registry that npm is configured to use")]
    [Category("Upstream")]
    public string? Upstream { get; set; }

    /// <summary><c>auto</c>, <c>none</c> or the address of a change feed.</summary>
    [Required]
    [Description("The upstream's change feed: auto, none or its address")]
    [Category("Upstream")]
    public string Feed { get; set; } = "auto";

    /// <summary>Serves held packages and sends no requests upstream: no feed, no fetch, no search. The rest is answered with a 503 that says so.</summary>
    [Description("Serve what is held and send no requests upstream; the rest is answered with 503")]
    [Category("Upstream")]
    public bool Offline { get; set; }

    /// <summary>How a live feed is read.</summary>
    [Description("How a live feed is read: longpoll, continuous or poll")]
    [Category("Upstream")]
    public FeedMode Mode { get; set; } = FeedMode.Longpoll;

    /// <summary>Where to start: a sequence, <c>0</c> for everything, <c>now</c> for the head. Null: where the store left off.</summary>
    [ConfigurationKeyName("last_seq")]
    [Description("Where to start: a sequence, 0 for everything, now for the head; default: where the store left off")]
    [Category("Upstream")]
    public string? LastSeq { get; set; }

    /// <summary>Milliseconds between polls of a live feed. Above 0 it also overrides <see cref="PollDelay"/>.</summary>
    [Range(0, 86_400_000)]
    [Description("Milliseconds between polls of a live feed; above 0 it also overrides pollDelay")]
    [Category("Upstream")]
    public int Delay { get; set; }

    /// <summary>Requests to the upstream at once that no client waits for.</summary>
    [Range(1, 256)]
    [Description("Concurrent requests to the upstream for which no client waits")]
    [Category("Upstream")]
    public int Concurrency { get; set; } = 10;

    /// <summary>Requests a second to one host. Requests of clients go first. Null: 100, and no limit to this machine.</summary>
    [Range(0, 100_000)]
    [Description("Requests a second to one host of the upstream, those of clients first; 0: no limit; default: 100, and no limit to this machine")]
    [Category("Upstream")]
    public int? RequestsPerSecond { get; set; }

    /// <summary>Whether the monitor leaves out changes without a new version (tags, owners, deprecations).</summary>
    [Description("Tell only of new versions, not of tags, owners and deprecations")]
    [Category("Packages")]
    public bool PublishOnly { get; set; }

    /// <summary>Which packages are held.</summary>
    [Description("Which packages are held: used (from the first request on), all, listed or listed+used")]
    [Category("Packages")]
    public MetadataMode Metadata { get; set; } = MetadataMode.Used;

    /// <summary>For <c>metadata=listed</c>: names and globs (<c>*</c>, <c>?</c>). <c>@names.txt</c> stands for the lines of that file.</summary>
    [Description("For metadata=listed: names and globs (* and ?), or @names.txt for a file with one a line")]
    [Category("Packages")]
    public IList<string> List { get; } = [];

    /// <summary>When tarballs are fetched.</summary>
    [Description("When tarballs are fetched: on-demand, eager or never")]
    [Category("Packages")]
    public TarballMode Tarballs { get; set; } = TarballMode.OnDemand;

    /// <summary>Whether a packument may spell its name in another case than the one asked for, as registries write that keep names in one case.</summary>
    [Description("Take a packument whose name differs from the one asked for in upper and lower case only; false: names that differ in case are two packages")]
    [Category("Packages")]
    public bool AnyCase { get; set; }

    /// <summary>The handling of packages and versions that the upstream removed.</summary>
    [Category("Packages")]
    public RemovedOptions Removed { get; } = new();

    /// <summary>Whether removals go on although they are more than one night should bring.</summary>
    [Description("Go on with removals that were held back for being too many at once")]
    [Category("Packages")]
    public bool AcceptRemovals { get; set; }

    /// <summary>The folder of the embedded store and of temporary files.</summary>
    [Required]
    [Description("The folder of the embedded store and of temporary files")]
    [Category("Storage")]
    public string Data { get; set; } = "./npm-mirror-data";

    /// <summary>The address and port to listen on; port 0 takes a free one. Short forms are written out: <c>4990</c> becomes <c>http://127.0.0.1:4990</c>.</summary>
    [Required]
    [Description("The address and port to listen on: 4990 for this machine alone, :4990 or 0.0.0.0:4990 for every address of it; port 0 takes a free one")]
    [Category("Serving")]
    public string Listen { get; set => field = ListenAddress.WriteOut(value); } = "http://127.0.0.1:4873";

    /// <summary>The path under which the registry is served.</summary>
    [Required]
    [Description("The path under which the registry is served")]
    [Category("Serving")]
    public string Mount { get; set; } = "/npm";

    /// <summary>The registry's address as clients see it, mount included. Null: from the request's <c>Host</c>, when allowed.</summary>
    [Description("The registry's address as clients see it, mount included; default: from the request's Host, when allowed")]
    [Category("Serving")]
    public string? PublicUrl { get; set => field = PublicAddress.WriteOut(value); }

    /// <summary>Host names that a request may name, besides loopback, this machine's own and the listen address.</summary>
    [Description("Host names that a request may name, besides loopback, this machine's own and the listen address")]
    [Category("Serving")]
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Addresses of proxies whose <c>X-Forwarded-*</c> headers are believed.</summary>
    [Description("Addresses of proxies whose X-Forwarded-* headers are believed")]
    [Category("Serving")]
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>Hosts besides the upstream's own from which tarballs may be fetched.</summary>
    [Description("Hosts besides the upstream's own from which tarballs may be fetched")]
    [Category("Upstream")]
    public IList<string> TarballHosts { get; } = [];

    /// <summary>How old a packument may be before it is revalidated, if no feed tells of changes.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    [Description("How old a packument may be before it is revalidated, where no feed tells of changes")]
    [Category("Upstream")]
    public TimeSpan Ttl { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a client waits for that; then it gets the held document, and the comparison goes on in the background.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "00:00:30")]
    [Description("How long a client waits until a packument older than ttl is compared; then it gets what is held, and the comparison goes on in the background; 0s: not at all")]
    [Category("Upstream")]
    public TimeSpan RevalidateWait { get; set; } = TimeSpan.FromSeconds(2);

    /// <summary>How long a confirmed 404 of the upstream is remembered, for a package, a version and a tarball.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "1.00:00:00")]
    [Description("How long a confirmed 404 of the upstream is remembered, for a package, a version and a tarball")]
    [Category("Upstream")]
    public TimeSpan NegativeTtl { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long to wait after a page of the paged feed that was not full.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "1.00:00:00")]
    [Description("How long to wait after a page of the paged feed that was not full")]
    [Category("Upstream")]
    public TimeSpan PollDelay { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>How often everything held is revalidated, if no feed tells of changes. Null: only on request.</summary>
    [Range(typeof(TimeSpan), "00:00:01", "365.00:00:00")]
    [Description("How often everything held is revalidated, if no feed tells of changes; default: only on request")]
    [Category("Upstream")]
    public TimeSpan? Revalidate { get; set; }

    /// <summary>How often everything held is compared with the upstream's list, if a feed is followed. Zero: only by hand.</summary>
    [Range(typeof(TimeSpan), "00:00:00", "365.00:00:00")]
    [Description("How often everything held is compared with the upstream's list, where a feed is followed; 0s: only by npm-mirror reconcile")]
    [Category("Upstream")]
    public TimeSpan Reconcile { get; set; } = TimeSpan.FromDays(7);

    /// <summary>The stretches of a feed with late rows that are read again.</summary>
    [Category("Upstream")]
    public RereadOptions Reread { get; } = new();

    /// <summary>The longest packument accepted, in bytes of raw JSON.</summary>
    [Range(1_000, 2_000_000_000)]
    [Description("The longest packument accepted, in bytes of raw JSON")]
    [Category("Packages")]
    public int PackumentMaxBytes { get; set; } = 256 * 1024 * 1024;

    /// <summary>The longest tarball accepted, in bytes.</summary>
    [Range(1_000, 1L << 50)]
    [Description("The longest tarball accepted")]
    [Category("Packages")]
    public long TarballMaxBytes { get; set; } = 4L * 1024 * 1024 * 1024;

    /// <summary>Bodies in memory at once, in bytes, shared by syncing and serving.</summary>
    [Range(1_000_000, 1L << 50)]
    [Description("Bytes of documents in memory at once, shared by syncing and serving")]
    [Category("Serving")]
    public long BudgetBytes { get; set; } = 128L * 1024 * 1024;

    /// <summary>Rendered packuments kept in memory, in bytes.</summary>
    [Range(0, 1L << 50)]
    [Description("Rendered packuments kept in memory")]
    [Category("Serving")]
    public long CacheBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>How long a single request to the upstream may wait for headers or for the next bytes.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "01:00:00")]
    [Description("How long a request to the upstream may wait for headers or for the next bytes")]
    [Category("Upstream")]
    public TimeSpan UpstreamTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>How long an audit may wait for the upstream. One that npm makes by itself at the end of an install waits 3 s at most.</summary>
    [Range(typeof(TimeSpan), "00:00:00.1", "00:10:00")]
    [Description("How long an audit may wait for the upstream; one that npm makes by itself at the end of an install waits 3 s at most")]
    [Category("Upstream")]
    public TimeSpan AuditTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Attestations kept, in bytes. More are passed on and not kept.</summary>
    [Range(0, 1L << 50)]
    [Description("Bytes of attestations kept; more are passed on and not kept")]
    [Category("Storage")]
    public long AttestationsMaxBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>Whether web pages of other sites may read answers.</summary>
    [Description("Whether web pages of other sites may read answers: auto (where the upstream needs no credentials), always or never")]
    [Category("Serving")]
    public CrossOriginMode CrossOrigin { get; set; } = CrossOriginMode.Auto;

    /// <summary>The engines of metadata and tarballs.</summary>
    [Category("Storage")]
    public StoreOptions Store { get; } = new();

    /// <summary>The rules and times of collections.</summary>
    [Category("Storage")]
    public GcOptions Gc { get; } = new();

    /// <summary>The access of administrators.</summary>
    [Category("Serving")]
    public AdminOptions Admin { get; } = new();

    /// <summary>A CouchDB by its parts: the feed, and the upstream if none is named; not together with <see cref="Feed"/>.</summary>
    [Category("Upstream")]
    public CouchOptions Couch { get; } = new();

    /// <summary>How much is logged.</summary>
    [Category("Log")]
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
                case var value:
                    option.Set(copy, value);
                    break;
            }
        }

        return copy;
    }
}
