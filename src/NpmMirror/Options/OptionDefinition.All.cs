using Microsoft.Extensions.Logging;

namespace NpmMirror.Options;

/// <content>The table: a property of <see cref="MirrorOptions"/> is an option by its row here.</content>
internal sealed partial class OptionDefinition
{
    /// <summary>All options, in the order in which the properties are declared. Rows instead of reflection: trimming cannot break them, and the compiler checks them.</summary>
    public static IReadOnlyList<OptionDefinition> All { get; } =
    [
        Text("upstream", "Upstream", "The upstream registry's address; default: the registry that npm is configured to use", o => o.Upstream, (o, value) => o.Upstream = value),
        Text("feed", "Upstream", "The upstream's change feed: auto, none or its address", o => o.Feed, (o, value) => o.Feed = value, isRequired: true),
        Value<bool>("offline", "Upstream", "Serve what is held and send no requests upstream; the rest is answered with 503", o => o.Offline, (o, value) => o.Offline = value),
        Word<FeedMode>("mode", "Upstream", "How a live feed is read: longpoll, continuous or poll", o => o.Mode, (o, value) => o.Mode = value),
        Text("last_seq", "Upstream", "Where to start: a sequence, 0 for everything, now for the head; default: where the store left off", o => o.LastSeq, (o, value) => o.LastSeq = value),
        Value<int>("delay", "Upstream", "Milliseconds between polls of a live feed; above 0 it also overrides pollDelay", o => o.Delay, (o, value) => o.Delay = value, 0, 86_400_000),
        Value<int>("concurrency", "Upstream", "Concurrent requests to the upstream for which no client waits", o => o.Concurrency, (o, value) => o.Concurrency = value, 1, 256),
        Value<int>("requestsPerSecond", "Upstream", "Requests a second to one host of the upstream, those of clients first; 0: no limit; default: 100, and no limit to this machine", o => o.RequestsPerSecond, (o, value) => o.RequestsPerSecond = value, 0, 100_000),
        Value<bool>("publishOnly", "Packages", "Tell only of new versions, not of tags, owners and deprecations", o => o.PublishOnly, (o, value) => o.PublishOnly = value),
        Word<MetadataMode>("metadata", "Packages", "Which packages are held: used (from the first request on), all, listed or listed+used", o => o.Metadata, (o, value) => o.Metadata = value),
        Many("list", "Packages", "For metadata=listed: names and globs (* and ?), or @names.txt for a file with one a line", o => o.List),
        Word<TarballMode>("tarballs", "Packages", "When tarballs are fetched: on-demand, eager or never", o => o.Tarballs, (o, value) => o.Tarballs = value),
        Value<bool>("anyCase", "Packages", "Take a packument whose name differs from the one asked for in upper and lower case only; false: names that differ in case are two packages", o => o.AnyCase, (o, value) => o.AnyCase = value),
        Word<RemovedMode>("removed.unpublished", "Packages", "For what the publisher unpublished: hide, keep or purge", o => o.Removed.Unpublished, (o, value) => o.Removed.Unpublished = value),
        Word<RemovedMode>("removed.gone", "Packages", "For what the upstream does not know any more: hide, keep or purge", o => o.Removed.Gone, (o, value) => o.Removed.Gone = value),
        Word<RemovedMode>("removed.securityHolder", "Packages", "For what a security holding package replaced: hide, keep or purge", o => o.Removed.SecurityHolder, (o, value) => o.Removed.SecurityHolder = value),
        Word<RemovedMode>("removed.blocked", "Packages", "For what was blocked for legal reasons: hide, keep or purge", o => o.Removed.Blocked, (o, value) => o.Removed.Blocked = value),
        Value<bool>("acceptRemovals", "Packages", "Go on with removals that were held back for being too many at once", o => o.AcceptRemovals, (o, value) => o.AcceptRemovals = value),
        Text("data", "Storage", "The folder of the embedded store and of temporary files", o => o.Data, (o, value) => o.Data = value, isRequired: true),
        Text("listen", "Serving", "The address and port to listen on: 4990 for this machine alone, :4990 or 0.0.0.0:4990 for every address of it; port 0 takes a free one", o => o.Listen, (o, value) => o.Listen = value, isRequired: true),
        Text("mount", "Serving", "The path under which the registry is served", o => o.Mount, (o, value) => o.Mount = value, isRequired: true),
        Text("publicUrl", "Serving", "The registry's address as clients see it, mount included; default: from the request's Host, when allowed", o => o.PublicUrl, (o, value) => o.PublicUrl = value),
        Many("allowedHosts", "Serving", "Host names that a request may name, besides loopback, this machine's own and the listen address", o => o.AllowedHosts),
        Many("trustedProxies", "Serving", "Addresses of proxies whose X-Forwarded-* headers are believed", o => o.TrustedProxies),
        Many("tarballHosts", "Upstream", "Hosts besides the upstream's own from which tarballs may be fetched", o => o.TarballHosts),
        Value<TimeSpan>("ttl", "Upstream", "How old a packument may be before it is revalidated, where no feed tells of changes", o => o.Ttl, (o, value) => o.Ttl = value, TimeSpan.Zero, TimeSpan.FromDays(365)),
        Value<TimeSpan>("revalidateWait", "Upstream", "How long a client waits until a packument older than ttl is compared; then it gets what is held, and the comparison goes on in the background; 0s: not at all", o => o.RevalidateWait, (o, value) => o.RevalidateWait = value, TimeSpan.Zero, TimeSpan.FromSeconds(30)),
        Value<TimeSpan>("negativeTtl", "Upstream", "How long a confirmed 404 of the upstream is remembered, for a package, a version and a tarball", o => o.NegativeTtl, (o, value) => o.NegativeTtl = value, TimeSpan.Zero, TimeSpan.FromDays(1)),
        Value<TimeSpan>("pollDelay", "Upstream", "How long to wait after a page of the paged feed that was not full", o => o.PollDelay, (o, value) => o.PollDelay = value, TimeSpan.FromMilliseconds(100), TimeSpan.FromDays(1)),
        Value<TimeSpan>("revalidate", "Upstream", "How often everything held is revalidated, if no feed tells of changes; default: only on request", o => o.Revalidate, (o, value) => o.Revalidate = value, TimeSpan.FromSeconds(1), TimeSpan.FromDays(365)),
        Value<TimeSpan>("reconcile", "Upstream", "How often everything held is compared with the upstream's list, where a feed is followed; 0s: only by npm-mirror reconcile", o => o.Reconcile, (o, value) => o.Reconcile = value, TimeSpan.Zero, TimeSpan.FromDays(365)),
        Value<TimeSpan>("reread.poll", "Upstream", "How far back the paged feed is read again at each idle poll, for rows that came late; 0s: not", o => o.Reread.Poll, (o, value) => o.Reread.Poll = value, TimeSpan.Zero, TimeSpan.FromDays(1)),
        Value<TimeSpan>("reread.hourly", "Upstream", "How far back the paged feed is read again every hour; 0s: not", o => o.Reread.Hourly, (o, value) => o.Reread.Hourly = value, TimeSpan.Zero, TimeSpan.FromDays(30)),
        Value<TimeSpan>("reread.daily", "Upstream", "How far back the paged feed is read again every day; 0s: not", o => o.Reread.Daily, (o, value) => o.Reread.Daily = value, TimeSpan.Zero, TimeSpan.FromDays(365)),
        Value<int>("packumentMaxBytes", "Packages", "The longest packument accepted, in bytes of raw JSON", o => o.PackumentMaxBytes, (o, value) => o.PackumentMaxBytes = value, 1_000, 2_000_000_000),
        Value<long>("tarballMaxBytes", "Packages", "The longest tarball accepted", o => o.TarballMaxBytes, (o, value) => o.TarballMaxBytes = value, 1_000, 1L << 50),
        Value<long>("budgetBytes", "Serving", "Bytes of documents in memory at once, shared by syncing and serving", o => o.BudgetBytes, (o, value) => o.BudgetBytes = value, 1_000_000, 1L << 50),
        Value<long>("cacheBytes", "Serving", "Rendered packuments kept in memory", o => o.CacheBytes, (o, value) => o.CacheBytes = value, 0, 1L << 50),
        Value<TimeSpan>("upstreamTimeout", "Upstream", "How long a request to the upstream may wait for headers or for the next bytes", o => o.UpstreamTimeout, (o, value) => o.UpstreamTimeout = value, TimeSpan.FromMilliseconds(100), TimeSpan.FromHours(1)),
        Value<TimeSpan>("auditTimeout", "Upstream", "How long an audit may wait for the upstream; one that npm makes by itself at the end of an install waits 3 s at most", o => o.AuditTimeout, (o, value) => o.AuditTimeout = value, TimeSpan.FromMilliseconds(100), TimeSpan.FromMinutes(10)),
        Value<long>("attestationsMaxBytes", "Storage", "Bytes of attestations kept; more are passed on and not kept", o => o.AttestationsMaxBytes, (o, value) => o.AttestationsMaxBytes = value, 0, 1L << 50),
        Word<CrossOriginMode>("crossOrigin", "Serving", "Whether web pages of other sites may read answers: auto (where the upstream needs no credentials), always or never", o => o.CrossOrigin, (o, value) => o.CrossOrigin = value),
        Value<bool>("ui", "Serving", "Serve the page for people at / (at /-/ if the registry is at /): state, packages, set-up; false: only the registry's address is told there", o => o.Ui, (o, value) => o.Ui = value),
        Word<SearchMode>("search", "Serving", "Who answers npm search: local (this mirror, from what it holds), forward (the upstream) or both (this mirror, then the upstream)", o => o.Search, (o, value) => o.Search = value),
        Text("store.engine", "Storage", "An engine's name (Sqlite, Postgres, Redis, MongoDB, Memory) or a location (sqlite:/data, postgres://user:password@host/database); default: Sqlite", o => o.Store.Engine, (o, value) => o.Store.Engine = value),
        Text("store.module", "Storage", "The assembly of a third-party engine; not together with store.engine", o => o.Store.Module, (o, value) => o.Store.Module = value),
        Text("store.blobs", "Storage", "Where tarballs go: an engine's name (Files: below data; Memory) or a location (files:/tarballs, s3://bucket/prefix)", o => o.Store.Blobs, (o, value) => o.Store.Blobs = value),
        Free("store.options", "Storage", "The engine's own settings: store.options.<name>", o => o.Store.Options),
        Free("store.blobOptions", "Storage", "The settings of the engine that store.blobs names: store.blobOptions.<name>", o => o.Store.BlobOptions),
        Value<long>("gc.maxBytes", "Storage", "Bytes of tarballs to keep; those served longest ago are deleted first; 0: no limit", o => o.Gc.MaxBytes, (o, value) => o.Gc.MaxBytes = value, 0, 1L << 60),
        Value<TimeSpan>("gc.grace", "Storage", "How long bytes without a package are kept", o => o.Gc.Grace, (o, value) => o.Gc.Grace = value, TimeSpan.FromHours(1), TimeSpan.FromDays(365)),
        Value<TimeSpan>("gc.every", "Storage", "How often serve and mirror collect by themselves; 0s: only npm-mirror gc does", o => o.Gc.Every, (o, value) => o.Gc.Every = value, TimeSpan.Zero, TimeSpan.FromDays(365)),
        Value<TimeSpan>("gc.accessRetention", "Storage", "How long records of which client fetched which tarball are kept; gc deletes older ones", o => o.Gc.AccessRetention, (o, value) => o.Gc.AccessRetention = value, TimeSpan.FromDays(1), TimeSpan.FromDays(3650)),
        Text("admin.token", "Serving", "The bearer token of administrators, needed on this machine too; default: no token, and only programs on this machine administer", o => o.Admin.Token, (o, value) => o.Admin.Token = value, isSecret: true),
        Text("couch.host", "Upstream", "The host of a CouchDB; with couch.port and couch.db another way to set feed, and upstream if none is given", o => o.Couch.Host, (o, value) => o.Couch.Host = value),
        Value<int>("couch.port", "Upstream", "The port of that CouchDB", o => o.Couch.Port, (o, value) => o.Couch.Port = value, 1, 65535),
        Text("couch.db", "Upstream", "The database of that CouchDB", o => o.Couch.Db, (o, value) => o.Couch.Db = value),
        Word<LogLevel>("log.level", "Log", "The least level that is logged: trace, debug, information, warning, error or none", o => o.Log.Level, (o, value) => o.Log.Level = value),
        Word<LogLevel>("log.monitor", "Log", "As log.level, for following the feed; default: as log.level", o => o.Log.Monitor, (o, value) => o.Log.Monitor = value),
        Word<LogLevel>("log.mirror", "Log", "As log.level, for what the mirror writes; default: as log.level", o => o.Log.Mirror, (o, value) => o.Log.Mirror = value),
    ];

    private static OptionDefinition Text(string name, string group, string description, Func<MirrorOptions, object?> get, Action<MirrorOptions, string> set, bool isRequired = false, bool isSecret = false) =>
        new(name, group, description, typeof(string), get) { Setter = (options, value) => set(options, (string)value), IsRequired = isRequired, IsSecret = isSecret };

    private static OptionDefinition Value<T>(string name, string group, string description, Func<MirrorOptions, object?> get, Action<MirrorOptions, T> set)
        where T : struct =>
        new(name, group, description, typeof(T), get) { Setter = (options, value) => set(options, (T)value) };

    private static OptionDefinition Value<T>(string name, string group, string description, Func<MirrorOptions, object?> get, Action<MirrorOptions, T> set, T least, T most)
        where T : struct, IComparable =>
        new(name, group, description, typeof(T), get) { Setter = (options, value) => set(options, (T)value), Range = (least, most) };

    private static OptionDefinition Word<T>(string name, string group, string description, Func<MirrorOptions, object?> get, Action<MirrorOptions, T> set)
        where T : struct, Enum =>
        new(name, group, description, typeof(T), get) { Setter = (options, value) => set(options, (T)value), Words = [.. Enum.GetValues<T>().Cast<Enum>()] };

    private static OptionDefinition Many(string name, string group, string description, Func<MirrorOptions, IList<string>> get) => new(name, group, description, typeof(IList<string>), get);

    private static OptionDefinition Free(string name, string group, string description, Func<MirrorOptions, IDictionary<string, string>> get) => new(name, group, description, typeof(IDictionary<string, string>), get);
}
