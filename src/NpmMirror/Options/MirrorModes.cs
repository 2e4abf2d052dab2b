namespace NpmMirror.Options;

/// <summary>Which packages' metadata a mirror holds.</summary>
public enum MetadataMode
{
    /// <summary>A package is held from its first request on, and followed.</summary>
    Used,

    /// <summary>Everything the upstream lists.</summary>
    All,

    /// <summary>The packages that <see cref="MirrorOptions.List"/> names.</summary>
    Listed,

    /// <summary>The listed packages eagerly, the rest as used.</summary>
    ListedUsed,
}

/// <summary>When tarballs are fetched.</summary>
public enum TarballMode
{
    /// <summary>At the first request.</summary>
    OnDemand,

    /// <summary>With their packument, before it becomes visible.</summary>
    Eager,

    /// <summary>Never: only stored tarballs are served.</summary>
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

/// <summary>The handling of a removed package or version.</summary>
public enum RemovedMode
{
    /// <summary>Gone from packuments and lists; stored tarballs are still served by their URL.</summary>
    Hide,

    /// <summary>Still shown.</summary>
    Keep,

    /// <summary>As hide, and payload and blobs are dropped by gc.</summary>
    Purge,
}

/// <summary>Whether web pages of other sites may read answers.</summary>
public enum CrossOriginMode
{
    /// <summary>If the upstream needs no credentials: then its answers are public anyway.</summary>
    Auto,

    /// <summary>Always.</summary>
    Always,

    /// <summary>Never.</summary>
    Never,
}

/// <summary>Who answers searches.</summary>
public enum SearchMode
{
    /// <summary>This mirror, from the packages that it holds; the upstream hears nothing of them.</summary>
    Local,

    /// <summary>The upstream.</summary>
    Forward,

    /// <summary>This mirror first, then the upstream with packages that are not held here.</summary>
    Both,
}
