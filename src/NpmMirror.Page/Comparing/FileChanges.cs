using DiffPlex.DiffBuilder;
using DiffPlex.DiffBuilder.Model;
using NpmMirror.Page.Sources;

namespace NpmMirror.Page.Comparing;

/// <summary>How a file of a tarball changed.</summary>
internal enum FileChange
{
    Added,
    Removed,
    Changed,
}

/// <summary>A file that differs.</summary>
/// <param name="Path">Its path.</param>
/// <param name="Change">How.</param>
/// <param name="SizeBytes">Its length, in the later version if it has it.</param>
/// <param name="IsBinary">Whether it is no text: a native module, a picture.</param>
/// <param name="Lines">The lines that differ, with some around them; empty if it is not shown by line.</param>
/// <param name="Note">Why it is not, or not whole; null if it is.</param>
internal sealed record ChangedFile(string Path, FileChange Change, long SizeBytes, bool IsBinary, IReadOnlyList<DiffLine> Lines, string? Note);

/// <summary>A line of a difference.</summary>
/// <param name="Kind">' ' in both, '+' in the later, '-' in the earlier; '…' for lines left out.</param>
/// <param name="Text">The line.</param>
internal readonly record struct DiffLine(char Kind, string Text);

/// <summary>The files that two tarballs differ in: binaries that were added first, then by path. Bounded in files, lines and time.</summary>
internal static class FileChanges
{
    internal const int FilesMax = 500;

    private const int TextMaxChars = 128 * 1024;
    private const int LinesMax = 3_000;
    private const int LinesOfFileMax = 400;
    private const int LinesShownMax = 4_000;
    private const int LineMaxChars = 400;
    private const int Around = 3;

    private static readonly TimeSpan Within = TimeSpan.FromSeconds(3);

    internal static (IReadOnlyList<ChangedFile> Files, int Count) Of(SourceTree from, SourceTree to, TimeProvider time)
    {
        var changed = from.Files.Keys.Union(to.Files.Keys)
            .Select(path => (Path: path, From: from.Files.GetValueOrDefault(path), To: to.Files.GetValueOrDefault(path)))
            .Where(pair => pair.From?.Sha256 != pair.To?.Sha256)
            .OrderByDescending(pair => pair.From is null && pair.To!.IsBinary).ThenByDescending(pair => pair.Path == "package.json").ThenBy(pair => pair.Path, StringComparer.Ordinal).ToList();
        var (begun, left, files) = (time.GetTimestamp(), LinesShownMax, new List<ChangedFile>());
        foreach (var (path, before, after) in changed.Take(FilesMax))
        {
            var (lines, note) = left <= 0 || time.GetElapsedTime(begun) > Within ? ([], "There is too much to show all of it.") : Lines(before, after);
            left -= lines.Count;
            files.Add(new ChangedFile(
                path, before is null ? FileChange.Added : after is null ? FileChange.Removed : FileChange.Changed, (after ?? before)!.SizeBytes, (before?.IsBinary ?? false) || (after?.IsBinary ?? false), lines, note));
        }

        return (files, changed.Count);
    }

    private static (IReadOnlyList<DiffLine> Lines, string? Note) Lines(SourceFile? before, SourceFile? after)
    {
        if (before is { IsBinary: true } || after is { IsBinary: true })
        {
            return ([], "No text.");
        }

        if (before is { Text: null } || after is { Text: null })
        {
            return ([], "Too long to be compared by line.");
        }

        var (left, right) = (before?.Text ?? "", after?.Text ?? "");
        // The comparison costs the number of lines times the number of differences.
        if (left.Length > TextMaxChars || right.Length > TextMaxChars || left.AsSpan().Count('\n') > LinesMax || right.AsSpan().Count('\n') > LinesMax)
        {
            return ([], "Too long to be compared by line.");
        }

        var all = InlineDiffBuilder.Diff(left, right, ignoreWhiteSpace: false).Lines;
        var shown = new List<DiffLine>();
        var last = -1;
        for (var i = 0; i < all.Count && shown.Count < LinesOfFileMax; i++)
        {
            if (!IsNear(all, i))
            {
                continue;
            }

            if (last >= 0 && i > last + 1)
            {
                shown.Add(new DiffLine('…', ""));
            }

            last = i;
            shown.Add(new DiffLine(all[i].Type switch { ChangeType.Inserted => '+', ChangeType.Deleted => '-', _ => ' ' }, Cut(all[i].Text)));
        }

        return (shown, shown.Count == LinesOfFileMax ? $"The first {LinesOfFileMax} lines." : null);
    }

    private static bool IsNear(List<DiffPiece> lines, int at)
    {
        for (var i = Math.Max(0, at - Around); i <= Math.Min(lines.Count - 1, at + Around); i++)
        {
            if (lines[i].Type != ChangeType.Unchanged)
            {
                return true;
            }
        }

        return false;
    }

    private static string Cut(string? line) => Words.Plain((line ?? "").TrimEnd('\r').Replace("\t", "    ", StringComparison.Ordinal), LineMaxChars);
}
