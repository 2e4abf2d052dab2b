using System.Globalization;
using StackExchange.Redis;

namespace NpmMirror.Redis;

/// <summary>
/// The names of keys. The classic ones are those of the tool of 2012 and its users' programs. All others begin with a brace: a cluster places a key by the
/// text between its braces, so that all keys of one package lie together, and so do those of one table.
/// </summary>
internal sealed class RedisKeys(string prefix)
{
    /// <summary>Rows of the log in one key.</summary>
    internal const int LogPage = 128;

    /// <summary>The classic cursor.</summary>
    internal RedisKey LastSequence { get; } = $"{prefix}seq:last_seq";

    // The mirror as a whole: small, and written together.
    internal RedisKey Schema { get; } = Own(prefix, "mirror", "schema");

    internal RedisKey Probes { get; } = Own(prefix, "mirror", "probes");

    /// <summary>There once all packuments of an earlier tool have their rows.</summary>
    internal RedisKey TakenOver { get; } = Own(prefix, "mirror", "taken-over");

    internal RedisKey Notes { get; } = Own(prefix, "mirror", "notes");

    internal RedisKey NoteKeys { get; } = Own(prefix, "mirror", "notes:keys");

    internal RedisKey Leases { get; } = Own(prefix, "mirror", "leases");

    internal RedisKey Unsettled { get; } = Own(prefix, "mirror", "unsettled");

    internal RedisKey Queued { get; } = Own(prefix, "mirror", "queue");

    internal RedisKey QueuedNames { get; } = Own(prefix, "mirror", "queue:names");

    internal RedisKey QueueLeased { get; } = Own(prefix, "mirror", "queue:leased");

    // The list of packages.
    internal RedisKey Held { get; } = Own(prefix, "names", "held");

    internal RedisKey Removed { get; } = Own(prefix, "names", "removed");

    internal RedisKey Marks { get; } = Own(prefix, "names", "marks");

    internal RedisKey Counts { get; } = Own(prefix, "names", "counts");

    // The log.
    internal RedisKey LogHead { get; } = Own(prefix, "log", "head");

    internal RedisKey Changes { get; } = Own(prefix, "log", "changes");

    // Tarballs of all packages.
    internal RedisKey TarballPackages { get; } = Own(prefix, "tarballs", "packages");

    internal RedisKey TarballSums { get; } = Own(prefix, "tarballs", "sums");

    internal RedisKey TarballCounts { get; } = Own(prefix, "tarballs", "counts");

    internal RedisKey AccessedPackages { get; } = Own(prefix, "tarballs", "accessed");

    internal RedisKey KeptPaths { get; } = Own(prefix, "kept", "paths");

    internal RedisKey QueueDue(int priority) => Own(prefix, "mirror", string.Create(CultureInfo.InvariantCulture, $"queue:due:{priority}"));

    /// <summary>The page of the log that has this row.</summary>
    internal RedisKey LogRows(long position) => Own(prefix, "log", string.Create(CultureInfo.InvariantCulture, $"rows:{(position - 1) / LogPage}"));

    /// <summary>A document of the upstream: a key of its own, so that they lie on all servers of a cluster.</summary>
    internal RedisKey Kept(string path) => $"{prefix}kept:{path}";

    /// <summary>The rows that name these bytes of a tarball.</summary>
    internal RedisKey Blob(Digest sha512) => Own(prefix, $"blob:{sha512.Hex}", "rows");

    /// <summary>The classic key of a removed package. It lies elsewhere than the package.</summary>
    internal RedisKey Tombstone(PackageName name) => $"{Begin(isRemoved: true)}{name}";

    /// <summary>The beginning of the classic keys of held packages, or of removed ones.</summary>
    internal string Begin(bool isRemoved) => isRemoved ? $"{prefix}module/deleted:" : $"{prefix}module:";

    /// <summary>The keys of one package.</summary>
    internal PackageKeys Of(PackageName name) => new($"{Begin(isRemoved: false)}{name}");

    private static RedisKey Own(string prefix, string room, string name) => $"{{{prefix}{room}}}/{name}";
}

/// <summary>The keys of one package, which all lie where the classic one does.</summary>
/// <param name="Module">The classic key: the packument as a JSON string.</param>
internal readonly record struct PackageKeys(string Module)
{
    /// <summary>The row.</summary>
    internal RedisKey Row => $"{{{Module}}}/row";

    /// <summary>The document where it is not under the classic key: compressed, or of a removed package.</summary>
    internal RedisKey Document => $"{{{Module}}}/document";

    /// <summary>Events that wait for their numbers.</summary>
    internal RedisKey Pending => $"{{{Module}}}/pending";

    /// <summary>The positions of the package's rows in the log.</summary>
    internal RedisKey History => $"{{{Module}}}/history";

    /// <summary>Of each archived document its form and length.</summary>
    internal RedisKey Archived => $"{{{Module}}}/archived";

    /// <summary>Rows of tarballs by file.</summary>
    internal RedisKey Tarballs => $"{{{Module}}}/tarballs";

    /// <summary>The files in order.</summary>
    internal RedisKey Files => $"{{{Module}}}/tarballs:files";

    /// <summary>How many tarballs are held, how many bytes, and how often that changed.</summary>
    internal RedisKey TarballSum => $"{{{Module}}}/tarballs:sum";

    /// <summary>Counts of downloads.</summary>
    internal RedisKey Accesses => $"{{{Module}}}/accesses";

    /// <summary>The fields of the counts, in order.</summary>
    internal RedisKey AccessKeys => $"{{{Module}}}/accesses:keys";

    /// <summary>The bytes of an archived document.</summary>
    internal RedisKey Archive(string sha256) => $"{{{Module}}}/archive:{sha256}";

    /// <summary>Where a document lies for the moment between its sending and its commit.</summary>
    internal RedisKey Sent(string commit, string what) => $"{{{Module}}}/sent:{commit}:{what}";
}
