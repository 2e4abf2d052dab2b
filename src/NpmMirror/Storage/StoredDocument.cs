namespace NpmMirror.Storage;

/// <summary>How a stored document is compressed. The numbers are stored: never reused.</summary>
public enum DocumentCodec
{
    /// <summary>Not at all.</summary>
    Identity = 0,

    /// <summary>One gzip member.</summary>
    Gzip = 1,

    /// <summary>Brotli.</summary>
    Brotli = 2,

    /// <summary>Dropped on purpose (<see cref="IPackageTable.PurgeAsync"/>): no bytes, but still its digest and length.</summary>
    Purged = 4,
}

/// <summary>A packument as stored: upstream's bytes, verbatim, compressed. Engines see bytes and columns.</summary>
/// <param name="Codec">How <paramref name="Bytes"/> is compressed.</param>
/// <param name="Bytes">The compressed bytes.</param>
/// <param name="RawSizeBytes">The length of upstream's bytes.</param>
/// <param name="Sha256">SHA-256 of upstream's bytes.</param>
public sealed record StoredDocument(DocumentCodec Codec, ReadOnlyMemory<byte> Bytes, int RawSizeBytes, Digest Sha256);
