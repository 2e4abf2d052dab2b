namespace NpmMirror.Maintenance;

/// <summary>A finding of a verification.</summary>
/// <param name="Fault">The kind of fault.</param>
/// <param name="Subject">Its subject: <c>left-pad/left-pad-1.0.0.tgz</c>, <c>left-pad</c>, <c>log 17</c>.</param>
/// <param name="Problem">The problem in one sentence; and the reason, if a repair failed.</param>
/// <param name="IsRepaired">Whether it has been mended.</param>
public sealed record VerifyFinding(VerifyFault Fault, string Subject, string Problem, bool IsRepaired);

/// <summary>The kinds of things that a verification finds.</summary>
public enum VerifyFault
{
    /// <summary>A tarball has a row, but its bytes are missing.</summary>
    TarballMissing,

    /// <summary>A tarball's bytes are not those that were stored; or no hash was promised for them, and they are no tar archive.</summary>
    TarballDamaged,

    /// <summary>A tarball is held that is another than its packument promises: the version was republished, or the row names the wrong bytes.</summary>
    TarballNotPromised,

    /// <summary>With <c>tarballs=eager</c>: a version's tarball is not held, and nothing says why.</summary>
    TarballNotHeld,

    /// <summary>A package's document or its index cannot be read, or is not as it was stored.</summary>
    DocumentDamaged,

    /// <summary>A document of the past, which an event points into, is missing or not as it was stored.</summary>
    ArchiveDamaged,

    /// <summary>A row has a value that no npm-mirror writes, in a place where no list and no lookup finds it, or beside a tarball's bytes.</summary>
    RowDamaged,

    /// <summary>The log's hash chain is broken, or a payload is not as it was chained.</summary>
    LogBroken,

    /// <summary>The upstream lists a package that this mirror should hold and does not.</summary>
    NotHeld,

    /// <summary>A package is held in another revision than the upstream lists.</summary>
    Stale,

    /// <summary>A package is held that the upstream does not list.</summary>
    Vanished,
}
