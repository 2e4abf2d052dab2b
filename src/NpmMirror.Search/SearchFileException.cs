using SQLitePCL;
using static SQLitePCL.raw;

namespace NpmMirror.Search;

/// <summary>SQLite refused something; turned into a <see cref="MirrorException"/> before it leaves this assembly.</summary>
internal sealed class SearchFileException : Exception
{
    private readonly int _code;

    private SearchFileException(int code, string message)
        : base(message) => _code = code;

    /// <summary>The file is damaged, or no database.</summary>
    internal bool IsDamage => _code is SQLITE_CORRUPT or SQLITE_NOTADB or SQLITE_FORMAT;

    /// <summary>The statement was ended from outside: it took too long.</summary>
    internal bool IsInterrupt => _code == SQLITE_INTERRUPT;

    internal static SearchFileException Of(sqlite3 database, int result) => new(result & 0xFF, sqlite3_errmsg(database).utf8_to_string() ?? $"SQLite error {result}");

    /// <summary>The meaning for operators.</summary>
    internal MirrorException ToMirrorException(string path) => _code switch
    {
        SQLITE_INTERRUPT => new MirrorException(MirrorFault.StoreUnavailable, "The search took too long and was ended; look for rarer words.", isTransient: true, inner: this),
        SQLITE_FULL => new MirrorException(MirrorFault.StoreReadOnly, $"The disk of {path} is full; free some space.", isTransient: true, inner: this),
        SQLITE_READONLY or SQLITE_CANTOPEN => new MirrorException(MirrorFault.StoreReadOnly, $"{path} cannot be written; give this user the right to write in its folder.", isTransient: true, inner: this),
        _ when IsDamage => new MirrorException(MirrorFault.StoreUnavailable, $"{path} is damaged ({Message}); it is built again.", isTransient: true, inner: this),
        _ => new MirrorException(MirrorFault.StoreUnavailable, $"{path} cannot be used ({Message}); check the disk.", isTransient: true, inner: this),
    };
}
