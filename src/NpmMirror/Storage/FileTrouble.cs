namespace NpmMirror.Storage;

/// <summary>Turns exceptions of the file system into failures that an operator can act on.</summary>
internal static class FileTrouble
{
    /// <summary>Whether the file system threw this, rather than a mistake of ours.</summary>
    internal static bool IsOne(Exception trouble) => trouble is IOException or UnauthorizedAccessException;

    /// <summary>Tells the folder's problem and what to do.</summary>
    internal static MirrorException Explain(Exception trouble, string location)
    {
        if (IsFull(trouble))
        {
            return new MirrorException(MirrorFault.StoreReadOnly, $"The disk of {location} is full; free some space: what is stored is served meanwhile, and writing goes on by itself.", isTransient: true, inner: trouble);
        }

        if (IsReadOnly(trouble))
        {
            return new MirrorException(MirrorFault.StoreReadOnly, $"{location} cannot be written; mount it writable and give this user the right to write there: what is stored is served meanwhile.", isTransient: true, inner: trouble);
        }

        return new MirrorException(MirrorFault.StoreUnavailable, $"The files in {location} cannot be used: {trouble.Message}", isTransient: true, inner: trouble);
    }

    // .NET keeps the errno (Unix) or the Win32 code (in the low word) in HResult.
    private static bool IsFull(Exception trouble) => OperatingSystem.IsWindows()
        ? (trouble.HResult & 0xffff) is 0x70 or 0x27
        : trouble.HResult == NoSpaceLeft || trouble.HResult == QuotaExceeded;

    private static bool IsReadOnly(Exception trouble) => trouble is UnauthorizedAccessException || (OperatingSystem.IsWindows()
        ? (trouble.HResult & 0xffff) is 0x13
        : trouble.HResult is ReadOnlyFileSystem);

    private const int NoSpaceLeft = 28;
    private const int ReadOnlyFileSystem = 30;

    private static int QuotaExceeded => OperatingSystem.IsLinux() ? 122 : 69;
}
