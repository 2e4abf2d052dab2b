using LightningDB;
using NpmMirror;

namespace Engine;

/// <summary>Turns LMDB's errors into failures that an operator can act on.</summary>
internal static class LmdbFaults
{
    private const int Denied = 13;
    private const int InputOutput = 5;
    private const int ReadOnlyFileSystem = 30;

    internal static MirrorException Of(LightningException e, string folder) => e.StatusCode switch
    {
        (int)MDBResultCode.MapFull => new MirrorException(
            MirrorFault.StoreReadOnly, $"{folder} has reached its size, mapBytes; start again with a larger --store.options.mapBytes: what is stored is served meanwhile.", isTransient: true, inner: e),
        (int)MDBResultCode.OutOfPaper => new MirrorException(
            MirrorFault.StoreReadOnly, $"The disk of {folder} is full; free some space: what is stored is served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
        Denied or InputOutput or ReadOnlyFileSystem => new MirrorException(
            MirrorFault.StoreReadOnly, $"{folder} cannot be written ({e.Message}); see whether its disk is full, and whether this user may write there: what is stored is served meanwhile.", isTransient: true, inner: e),
        (int)MDBResultCode.VersionMismatch => new MirrorException(
            MirrorFault.StoreSchema, $"{folder} was written by another version of LMDB, not the one that is installed here; use that one, or restore a backup.", inner: e),
        (int)MDBResultCode.Corrupted or (int)MDBResultCode.Invalid or (int)MDBResultCode.PageNotFound or (int)MDBResultCode.Panic => new MirrorException(
            MirrorFault.StoreUnavailable, $"{folder} is damaged ({e.Message}); stop the mirror, move the folder away and put a backup in its place.", inner: e),
        (int)MDBResultCode.ReadersFull => new MirrorException(
            MirrorFault.StoreUnavailable, $"Too many processes read {folder} at once; stop some of them.", isTransient: true, inner: e),
        _ => new MirrorException(MirrorFault.StoreUnavailable, $"{folder} cannot be used ({e.Message}); check the disk.", isTransient: true, inner: e),
    };

    internal static MirrorException OfOpen(Exception e, string folder) => e switch
    {
        DllNotFoundException => new MirrorException(MirrorFault.Configuration, "LMDB's library does not load here; install it (Debian: apt-get install liblmdb0).", inner: e),
        LightningException { StatusCode: not Denied and not ReadOnlyFileSystem } lmdb => Of(lmdb, folder),
        _ => new MirrorException(MirrorFault.StoreUnavailable, $"{folder} cannot be opened ({e.Message}); name a folder that this user may write, with data or store.options.path.", inner: e),
    };
}
