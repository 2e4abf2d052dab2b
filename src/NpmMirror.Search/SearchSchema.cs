using System.Globalization;
using NpmMirror.Searching;
using NpmMirror.Storage;

namespace NpmMirror.Search;

/// <summary>The tables, and what the file notes of itself. A file of another version is made anew: it holds nothing that is not in the store.</summary>
internal static class SearchSchema
{
    // Counts up with every change of the tables, of the terms, or of what is read from a packument.
    private const long Version = 1;

    // "npms": tells our files from other programs'.
    private const long ApplicationId = 0x6e706d73;

    private const string Tables =
        """
        CREATE TABLE notes (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
        CREATE TABLE names (name TEXT PRIMARY KEY, id INTEGER NOT NULL) WITHOUT ROWID;

        -- The small part that ranking reads, and the large one that answers do. Ids begin with the grade.
        CREATE TABLE packages (id INTEGER PRIMARY KEY, name TEXT NOT NULL, marks INTEGER NOT NULL);
        CREATE TABLE contents (id INTEGER PRIMARY KEY, bytes BLOB NOT NULL);

        -- For beginnings of names, in lower case: those of packages that others depend on, those with capitals, and of scoped ones also what is after the scope.
        CREATE TABLE known (grade INTEGER NOT NULL, key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (grade, key, id)) WITHOUT ROWID;
        CREATE TABLE dependents (name TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID;
        CREATE VIRTUAL TABLE words USING fts5(terms, content='', contentless_delete=1, detail=none, tokenize="ascii tokenchars '-._@/:=~'");
        """;

    /// <summary>Whether the file has this version's tables.</summary>
    internal static bool IsKnown(SearchSession session) =>
        session.Prepare("PRAGMA application_id").FirstInteger() == ApplicationId && session.Prepare("PRAGMA user_version").FirstInteger() == Version;

    /// <summary>Whether there is nothing in the file.</summary>
    internal static bool IsEmpty(SearchSession session) => session.Prepare("SELECT count(*) FROM sqlite_schema").FirstInteger() == 0;

    /// <summary>Makes the tables in an empty file.</summary>
    internal static void Create(SearchSession session) => session.InTransaction(() =>
    {
        session.Execute(Tables);
        session.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA application_id = {ApplicationId}"));
        session.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA user_version = {Version}"));
    });

    /// <summary>What is noted; null in a file that was never written.</summary>
    internal static IndexMark? ReadMark(SearchSession session)
    {
        if (Note(session, "position") is not { } position || Note(session, "hash") is not { } hash || Note(session, "shown") is not { } shown)
        {
            return null;
        }

        return long.TryParse(position, CultureInfo.InvariantCulture, out var number) && Digest.TryFromHex(hash, out var digest)
            ? new IndexMark(new LogHead(new LogPosition(number), digest), shown, Note(session, "built"))
            : null;
    }

    /// <summary>Notes it.</summary>
    internal static void WriteMark(SearchSession session, IndexMark mark)
    {
        SetNote(session, "position", mark.Head.Position.Value.ToString(CultureInfo.InvariantCulture));
        SetNote(session, "hash", mark.Head.Hash.Hex);
        SetNote(session, "shown", mark.Shown);
        if (mark.Built is { } built)
        {
            SetNote(session, "built", built);
        }
        else
        {
            session.Execute("DELETE FROM notes WHERE key = 'built'");
        }
    }

    /// <summary>A number among the notes; 0 where there is none.</summary>
    internal static long ReadNumber(SearchSession session, string key) => long.TryParse(Note(session, key), CultureInfo.InvariantCulture, out var number) ? number : 0;

    internal static void WriteNumber(SearchSession session, string key, long number) => SetNote(session, key, number.ToString(CultureInfo.InvariantCulture));

    private static string? Note(SearchSession session, string key)
    {
        var statement = session.Prepare("SELECT value FROM notes WHERE key = ?").Bind(1, key);
        if (!statement.Step())
        {
            return null;
        }

        var value = statement.Text(0);
        statement.Reset();
        return value;
    }

    private static void SetNote(SearchSession session, string key, string value) => session.Prepare("INSERT OR REPLACE INTO notes VALUES (?, ?)").Bind(1, key).Bind(2, value).Run();
}
