namespace NpmMirror.Packuments;

public sealed partial class PackumentIndex
{
    /// <summary>The stored form: a version byte, then variable-length integers and texts.</summary>
    public byte[] ToBytes() => throw new NotImplementedException();

    /// <summary>Reads the stored form.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreUnavailable"/>: damaged, or written by a newer program.</exception>
    public static PackumentIndex FromBytes(ReadOnlySpan<byte> stored) => throw new NotImplementedException();
}
