using System.ComponentModel.DataAnnotations;

namespace NpmMirror;

/// <summary>Which packages' metadata a mirror holds.</summary>
public enum MetadataMode
{
    /// <summary>A package is held from its first request on, and followed.</summary>
    Used,

    /// <summary>Everything the upstream lists.</summary>
    All,

    /// <summary>What <see cref="MirrorOptions.List"/> names.</summary>
    Listed,

    /// <summary>What the list names eagerly, the rest as used.</summary>
    ListedUsed,
}

/// <summary>When tarballs are fetched.</summary>
public enum TarballMode
{
    /// <summary>At the first request.</summary>
    OnDemand,

    /// <summary>With their packument, before it becomes visible.</summary>
    Eager,

    /// <summary>Never: only what is stored is served.</summary>
    Never,
}

/// <summary>How a live feed is read.</summary>
public enum FeedMode
{
    /// <summary>One request that the upstream answers when something changed.</summary>
    Longpoll,

    /// <summary>One connection on which rows arrive.</summary>
    Continuous,

    /// <summary>Plain requests.</summary>
    Poll,
}

/// <summary>What happens with a removed package or version.</summary>
public enum RemovedMode
{
    /// <summary>Gone from packuments and lists; stored tarballs are still served by their URL.</summary>
    Hide,

    /// <summary>Still shown.</summary>
    Keep,

    /// <summary>As hide, and payload and blobs are dropped by gc.</summary>
    Purge,
}

/// <summary>
/// Every setting of a mirror, one tree: the same word is a dotted flag, a JSON key and, with <c>__</c> for the dots, an environment
/// variable behind <c>NPM_MIRROR__</c>. Bound once, then read only.
/// </summary>
public sealed class MirrorOptions
{
    /// <summary>The upstream registry's address. Null: what npm itself is configured to use.</summary>
    public string? Upstream { get; set; }

    /// <summary><c>auto</c>, <c>none</c> or the address of a change feed.</summary>
    public string Feed { get; set; } = "auto";

    /// <summary>How a live feed is read.</summary>
    public FeedMode Mode { get; set; } = FeedMode.Longpoll;

    /// <summary>Where to start: a sequence, <c>0</c> for everything, <c>now</c> for the head. Null: where the store left off.</summary>
    public string? LastSeq { get; set; }

    /// <summary>Milliseconds between polls of a live feed. Above 0 it also overrides <see cref="PollDelay"/>.</summary>
    [Range(0, 86_400_000)]
    public int Delay { get; set; }

    /// <summary>Requests to the upstream at once.</summary>
    [Range(1, 256)]
    public int Concurrency { get; set; } = 10;

    /// <summary>Which packages are held.</summary>
    public MetadataMode Metadata { get; set; } = MetadataMode.Used;

    /// <summary>For <c>metadata=listed</c>: names and globs (<c>*</c>, <c>?</c>), or <c>@file</c> with one a line.</summary>
    public IList<string> List { get; } = [];

    /// <summary>When tarballs are fetched.</summary>
    public TarballMode Tarballs { get; set; } = TarballMode.OnDemand;

    /// <summary>What happens with what the upstream removed.</summary>
    public RemovedOptions Removed { get; } = new();

    /// <summary>The folder of the embedded store and of temporary files.</summary>
    [Required]
    public string Data { get; set; } = "./npm-mirror-data";

    /// <summary>The address and port to listen on.</summary>
    [Required]
    public string Listen { get; set; } = "http://127.0.0.1:4873";

    /// <summary>The path under which the registry is served.</summary>
    public string Mount { get; set; } = "/npm";

    /// <summary>The registry's address as clients see it, mount included. Null: from the request's <c>Host</c>, when allowed.</summary>
    public string? PublicUrl { get; set; }

    /// <summary>Host names that a request may name, besides loopback, this machine's own and the listen address.</summary>
    public IList<string> AllowedHosts { get; } = [];

    /// <summary>Addresses of proxies whose <c>X-Forwarded-*</c> headers are believed.</summary>
    public IList<string> TrustedProxies { get; } = [];

    /// <summary>Hosts besides the upstream's own from which tarballs may be fetched.</summary>
    public IList<string> TarballHosts { get; } = [];

    /// <summary>How old a packument may be before it is revalidated, where no feed tells of changes.</summary>
    public TimeSpan Ttl { get; set; } = TimeSpan.FromMinutes(5);

    /// <summary>How long a confirmed 404 of the upstream is remembered.</summary>
    public TimeSpan NegativeTtl { get; set; } = TimeSpan.FromSeconds(60);

    /// <summary>How long to wait after a page of the paged feed that was not full.</summary>
    public TimeSpan PollDelay { get; set; } = TimeSpan.FromSeconds(15);

    /// <summary>Revalidate everything held that often, where no feed tells of changes. Null: only what is asked for.</summary>
    public TimeSpan? Revalidate { get; set; }

    /// <summary>The longest packument accepted, in bytes of raw JSON.</summary>
    [Range(1_000, 2_000_000_000)]
    public int PackumentMaxBytes { get; set; } = 256 * 1024 * 1024;

    /// <summary>The longest tarball accepted, in bytes.</summary>
    [Range(1_000, long.MaxValue)]
    public long TarballMaxBytes { get; set; } = 4L * 1024 * 1024 * 1024;

    /// <summary>Raw JSON in memory at once, in bytes, shared by syncing and rendering.</summary>
    [Range(1_000_000, long.MaxValue)]
    public long BudgetBytes { get; set; } = 256L * 1024 * 1024;

    /// <summary>Rendered packuments kept in memory, in bytes.</summary>
    [Range(0, long.MaxValue)]
    public long CacheBytes { get; set; } = 64L * 1024 * 1024;

    /// <summary>How long a single request to the upstream may wait for headers or for the next bytes.</summary>
    public TimeSpan UpstreamTimeout { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>Which engine keeps what.</summary>
    public StoreOptions Store { get; } = new();

    /// <summary>Who may administer.</summary>
    public AdminOptions Admin { get; } = new();
}

/// <summary>What happens with what the upstream removed, by kind.</summary>
public sealed class RemovedOptions
{
    /// <summary>The publisher unpublished it.</summary>
    public RemovedMode Unpublished { get; set; } = RemovedMode.Hide;

    /// <summary>The upstream does not know it any more.</summary>
    public RemovedMode Gone { get; set; } = RemovedMode.Hide;

    /// <summary>A security holding package stands in its place. Hide: the holder is served, the older versions answer 451.</summary>
    public RemovedMode SecurityHolder { get; set; } = RemovedMode.Hide;

    /// <summary>Refused for legal reasons. Hide: it answers 451.</summary>
    public RemovedMode Blocked { get; set; } = RemovedMode.Hide;
}

/// <summary>Which engine keeps what.</summary>
public sealed class StoreOptions
{
    /// <summary>An engine's name (<c>Sqlite</c>, <c>Memory</c>) or a location (<c>sqlite:/data</c>).</summary>
    public string Engine { get; set; } = "Sqlite";

    /// <summary>The assembly of a third-party engine; not together with <see cref="Engine"/>.</summary>
    public string? Module { get; set; }

    /// <summary>The engine's own settings.</summary>
    public IDictionary<string, string> Options { get; } = new Dictionary<string, string>(StringComparer.OrdinalIgnoreCase);
}

/// <summary>Who may administer.</summary>
public sealed class AdminOptions
{
    /// <summary>The bearer token of administrators. Null: only loopback peers without forwarding headers.</summary>
    public string? Token { get; set; }
}
