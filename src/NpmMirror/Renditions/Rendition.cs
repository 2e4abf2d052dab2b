using System.Globalization;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Renditions;

/// <summary>
/// One representation of a package: its validators, known from the row, and its final bytes once they were made. The header values
/// are prepared here, so that a request only copies references.
/// </summary>
internal sealed class Rendition
{
    private byte[]? _body;
    private Action<Rendition>? _atNextUse;

    internal Rendition(CachedPackage package, RenditionKey key, bool isKept)
    {
        Package = package;
        Key = key;
        IsKept = isKept;
        ETag = key.ETagOf(package.Row.DocumentSha256);
        LastModified = LastModifiedOf(package.Row.Facts)?.ToString("R", CultureInfo.InvariantCulture);
        ContentEncoding = ContentCodings.Token(key.Coding);
        ContentType = key.Form == PackumentForm.Abbreviated ? "application/vnd.npm.install-v1+json" : "application/json";
    }

    /// <summary>The package as it was found; once it is dropped this rendition is history.</summary>
    public CachedPackage Package { get; }

    /// <summary>Which representation this is.</summary>
    public RenditionKey Key { get; }

    /// <summary>False for one that no later request finds again (a base or version too many).</summary>
    public bool IsKept { get; }

    /// <summary>The strong ETag, quotes included.</summary>
    public string ETag { get; }

    /// <summary>The <c>Last-Modified</c> header, or null if the upstream tells no moment.</summary>
    public string? LastModified { get; }

    /// <summary>The <c>Content-Encoding</c> header, or null.</summary>
    public string? ContentEncoding { get; }

    /// <summary>The <c>Content-Type</c> header.</summary>
    public string ContentType { get; }

    /// <summary>The final bytes, or null while they are not in memory.</summary>
    public byte[]? Body => Volatile.Read(ref _body);

    /// <summary>Set by each use; cleared when the cache looks for entries to forget.</summary>
    internal bool WasUsed;

    /// <summary>Notes a use. The mark is written only when it changes something: the line is shared by all threads.</summary>
    public void Touch()
    {
        Package.Hits.Add();
        if (!WasUsed)
        {
            WasUsed = true;
        }

        if (Volatile.Read(ref _atNextUse) is not null)
        {
            Interlocked.Exchange(ref _atNextUse, null)?.Invoke(this);
        }
    }

    /// <summary>An action for its next use, once; it must not take long.</summary>
    internal void AtNextUse(Action<Rendition> action) => Volatile.Write(ref _atNextUse, action);

    /// <summary>Puts other bytes in the place of these, unless they are gone already; returns how many bytes more are held now.</summary>
    internal long Replace(byte[] body, byte[] by) => Interlocked.CompareExchange(ref _body, by, body) == body ? by.LongLength - body.LongLength : 0;

    // Upstream's own moment, which clients compare with the document's. A document that replaced another may have the same one: then the moment
    // of storage tells the two apart (PackageSync keeps it a second after the one before).
    private static DateTimeOffset? LastModifiedOf(PackageFacts facts) =>
        facts.ModifiedAt is { } modified && facts.StoredAt != facts.FirstSeenAt && facts.StoredAt > modified ? facts.StoredAt : facts.ModifiedAt;

    /// <summary>Sets or clears the bytes; returns how many bytes more are held now.</summary>
    internal long Swap(byte[]? body) => (body?.LongLength ?? 0) - (Interlocked.Exchange(ref _body, body)?.LongLength ?? 0);
}
