namespace NpmMirror.Upstream;

/// <summary>The purpose of a request to the upstream. A host that is too busy for one purpose is still asked for the others.</summary>
public enum RequestPurpose
{
    /// <summary>The feed, packuments and tarballs.</summary>
    Fetching,

    /// <summary>A client's search.</summary>
    Search,

    /// <summary>An audit that a user asked for.</summary>
    Audit,

    /// <summary>The audit that npm makes by itself at the end of an install.</summary>
    InstallAudit,

    /// <summary>The registry's signing keys.</summary>
    Keys,

    /// <summary>The attestations of one version.</summary>
    Attestations,
}
