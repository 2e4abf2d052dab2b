using Microsoft.Data.Sqlite;

namespace NpmMirror.Sqlite;

/// <summary>Turns SQLite's errors into failures that an operator can act on.</summary>
internal static class SqliteFaults
{
    private const int Busy = 5;
    private const int Locked = 6;
    private const int ReadOnly = 8;
    private const int InputOutput = 10;
    private const int Corrupt = 11;
    private const int Full = 13;
    private const int CannotOpen = 14;
    private const int TooBig = 18;
    private const int NotADatabase = 26;
    private const int InputOutputRead = InputOutput | (1 << 8);
    private const int InputOutputShortRead = InputOutput | (2 << 8);

    /// <summary>Whether opening for writing failed because nothing may be written there.</summary>
    internal static bool IsReadOnly(SqliteException e) => e.SqliteErrorCode is ReadOnly or CannotOpen or Full || (e.SqliteErrorCode == InputOutput && !IsRead(e));

    /// <summary>Whether the read data is at fault, not the place that was written to.</summary>
    internal static bool IsDamage(SqliteException e) => e.SqliteErrorCode is Corrupt or NotADatabase || IsRead(e);

    /// <summary>The meaning of a write's failure.</summary>
    internal static MirrorException OfWrite(SqliteException e, string path) => e.SqliteErrorCode switch
    {
        Full => new MirrorException(MirrorFault.StoreReadOnly, $"The disk of {path} is full; free some space: what is stored is served meanwhile, and writing goes on by itself.", isTransient: true, inner: e),
        ReadOnly or CannotOpen => new MirrorException(MirrorFault.StoreReadOnly, $"{path} cannot be written; mount its folder writable and give this user the right to write there: what is stored is served meanwhile.", isTransient: true, inner: e),
        InputOutput when !IsRead(e) => new MirrorException(MirrorFault.StoreReadOnly, $"Writing {path} failed ({e.Message}); check the disk: what is stored is served meanwhile, and writing is tried again.", isTransient: true, inner: e),
        TooBig => new MirrorException(MirrorFault.TooLarge, $"A document is over the limit of {path}; keep it out with packumentMaxBytes.", inner: e),
        _ => OfRead(e, path),
    };

    /// <summary>The meaning of a read's failure.</summary>
    internal static MirrorException OfRead(SqliteException e, string path) => e.SqliteErrorCode switch
    {
        Busy or Locked => new MirrorException(MirrorFault.StoreUnavailable, $"Another process holds {path}; wait for it to finish or stop it.", isTransient: true, inner: e),
        Corrupt => new MirrorException(MirrorFault.StoreUnavailable, $"{path} is damaged ({e.Message}); stop the mirror, move the file away and put a backup in its place.", inner: e),
        NotADatabase => new MirrorException(MirrorFault.StoreUnavailable, $"{path} is not a database of this program; name another folder, or put a backup in its place.", inner: e),
        CannotOpen => new MirrorException(MirrorFault.StoreUnavailable, $"{path} cannot be opened; check that its folder exists and that this user may read it.", isTransient: true, inner: e),
        _ => new MirrorException(MirrorFault.StoreUnavailable, $"{path} cannot be used ({e.Message}); check the disk.", isTransient: true, inner: e),
    };

    private static bool IsRead(SqliteException e) => e.SqliteExtendedErrorCode is InputOutputRead or InputOutputShortRead;
}
