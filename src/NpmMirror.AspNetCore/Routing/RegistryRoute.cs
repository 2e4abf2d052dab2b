
namespace NpmMirror.AspNetCore.Routing;

/// <summary>The meaning of a request target: a closed family, each with its name in metrics and the methods it takes. The request's method is not part of it.</summary>
internal abstract record RegistryRoute
{
    internal const string PackumentPattern = "/{package}";
    internal const string ManifestPattern = "/{package}/{version}";
    internal const string TarballPattern = "/{package}/-/{file}";
    internal const string ChangesPattern = "/_changes";
    internal const string MalformedPattern = "malformed";

    private RegistryRoute(string pattern, RouteMethods methods = RouteMethods.Read, bool isOperations = false) => (Pattern, Methods, IsOperations) = (pattern, methods, isOperations);

    /// <summary>The route as metrics name it: a pattern below the mount, of which there are few, and never a path that a client wrote.</summary>
    internal string Pattern { get; }

    /// <summary>The methods that it takes.</summary>
    internal RouteMethods Methods { get; }

    /// <summary>Whether operators ask for it: under a root mount too, and by any name, since probes ask by address.</summary>
    internal bool IsOperations { get; }

    /// <summary><c>{m}/{pkg}</c>.</summary>
    public sealed record Packument(PackageName Package) : RegistryRoute(PackumentPattern);

    /// <summary><c>{m}/{pkg}/{version or tag}</c>.</summary>
    public sealed record Manifest(PackageName Package, string VersionOrTag) : RegistryRoute(ManifestPattern);

    /// <summary><c>{m}/{pkg}/-/{file}</c>.</summary>
    public sealed record Tarball(PackageName Package, string File) : RegistryRoute(TarballPattern);

    /// <summary><c>{m}/-/package/{pkg}/dist-tags</c>.</summary>
    public sealed record DistTags(PackageName Package) : RegistryRoute("/-/package/{package}/dist-tags");

    /// <summary><c>{m}/-/v1/search</c>.</summary>
    public sealed record Search() : RegistryRoute("/-/v1/search");

    /// <summary><c>{m}/-/ping</c>.</summary>
    public sealed record Ping() : RegistryRoute("/-/ping");

    /// <summary><c>{m}/-/whoami</c> and the other questions about the caller's account.</summary>
    public sealed record Account() : RegistryRoute("/-/whoami");

    /// <summary><c>{m}/-/npm/v1/keys</c>.</summary>
    public sealed record Keys() : RegistryRoute("/-/npm/v1/keys");

    /// <summary><c>{m}/-/npm/v1/attestations/{pkg}@{version}</c>.</summary>
    public sealed record Attestations(PackageName Package, string Version) : RegistryRoute("/-/npm/v1/attestations/{package}@{version}");

    /// <summary><c>{m}/-/npm/v1/security/advisories/bulk</c>.</summary>
    public sealed record Advisories() : RegistryRoute("/-/npm/v1/security/advisories/bulk", RouteMethods.Ask);

    /// <summary><c>{m}/-/npm/v1/security/audits</c> and <c>…/quick</c>, which the registry retired.</summary>
    public sealed record RetiredAudit() : RegistryRoute("/-/npm/v1/security/audits", RouteMethods.Ask);

    /// <summary><c>{m}/</c>.</summary>
    public sealed record Info() : RegistryRoute("/");

    /// <summary><c>{m}/-/log/head</c>.</summary>
    public sealed record LogHead() : RegistryRoute("/-/log/head");

    /// <summary><c>{m}/-/log/{position}</c>.</summary>
    public sealed record LogAt(long Position) : RegistryRoute("/-/log/{position}");

    /// <summary><c>{m}/_changes</c>.</summary>
    public sealed record Changes() : RegistryRoute(ChangesPattern, RouteMethods.ReadOrAsk);

    /// <summary><c>{m}/-/events</c>.</summary>
    public sealed record Events() : RegistryRoute("/-/events");

    /// <summary><c>{m}/_bulk_get</c>.</summary>
    public sealed record BulkGet() : RegistryRoute("/_bulk_get", RouteMethods.Ask);

    /// <summary><c>{m}/_all_docs</c>.</summary>
    public sealed record AllDocs() : RegistryRoute("/_all_docs", RouteMethods.ReadOrAsk);

    /// <summary><c>{m}/-/all</c>.</summary>
    public sealed record All() : RegistryRoute("/-/all");

    /// <summary>A path that only publishing commands use, or that has no meaning on a mirror when read.</summary>
    public sealed record Publishing() : RegistryRoute("publishing");

    /// <summary><c>{m}/-/v1/login</c>, npm's first request of a login.</summary>
    public sealed record Login() : RegistryRoute("/-/v1/login");

    /// <summary><c>/</c>, outside every mount.</summary>
    public sealed record Home() : RegistryRoute("home");

    /// <summary><c>/health/live</c>.</summary>
    public sealed record Live() : RegistryRoute("/health/live", isOperations: true);

    /// <summary><c>/health/ready</c>.</summary>
    public sealed record Ready() : RegistryRoute("/health/ready", isOperations: true);

    /// <summary><c>/metrics</c>.</summary>
    public sealed record Metrics() : RegistryRoute("/metrics", isOperations: true);

    /// <summary><c>/api/ping</c>.</summary>
    public sealed record ApiPing() : RegistryRoute("/api/ping", isOperations: true);

    /// <summary><c>/setup</c>, <c>/package/{pkg}</c> and the other paths of the page for people; its root is <see cref="Home"/>.</summary>
    /// <param name="Path">The segments below the page's root.</param>
    public sealed record Page(IReadOnlyList<string> Path) : RegistryRoute("page", isOperations: true);

    /// <summary>What a form of the page sends.</summary>
    /// <param name="Path">The segments below the page's root.</param>
    public sealed record PageForm(IReadOnlyList<string> Path) : RegistryRoute("page_form", RouteMethods.Ask, isOperations: true);

    /// <summary><c>/-/</c> under a root mount: the page's root, and the package called <c>-</c> for programs.</summary>
    public sealed record PageOrDash(PackageName Dash) : RegistryRoute("page_root");

    /// <summary>A path outside every mount, where a package may have been meant.</summary>
    public sealed record OutsideMount() : RegistryRoute("outside");

    /// <summary>A well-formed path without a meaning: 404.</summary>
    public sealed record NotFound(string Reason) : RegistryRoute("not_found");

    /// <summary>A path that is not well-formed: 400, or 414 for one that is too long.</summary>
    public sealed record Malformed(int Status, string Reason) : RegistryRoute(MalformedPattern);
}
