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

    /// <summary>One frame of Zstandard.</summary>
    Zstandard = 5,
}

/// <summary>A packument as stored: upstream's bytes, verbatim, compressed. Engines see bytes and columns.</summary>
/// <param name="Codec">How <paramref name="Bytes"/> is compressed.</param>
/// <param name="Bytes">The compressed bytes.</param>
/// <param name="RawSizeBytes">The length of upstream's bytes.</param>
/// <param name="Sha256">SHA-256 of upstream's bytes.</param>
public sealed record StoredDocument(DocumentCodec Codec, ReadOnlyMemory<byte> Bytes, int RawSizeBytes, Digest Sha256)
{
    /// <summary>The same document in another form, for engines that choose their own; itself where it has that form, or was purged.</summary>
    /// <param name="codec">The form.</param>
    /// <param name="package">Whose it is, for messages.</param>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: it is not what its SHA-256 says.</exception>
    public StoredDocument As(DocumentCodec codec, PackageName package) => Codec == codec || Codec == DocumentCodec.Purged ? this : DocumentCodecs.Recode(this, codec, package);
}
