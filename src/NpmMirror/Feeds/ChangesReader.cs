using System.Buffers;
using System.IO.Pipelines;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.Json;
using NpmMirror.Upstream;

namespace NpmMirror.Feeds;

/// <summary>
/// Reads change feeds from a pipe, in pieces of any length: a row cut in two, two rows in one piece and a character cut in its
/// middle make no difference. A malformed row is reported with its page and skipped.
/// </summary>
internal static class ChangesReader
{
    private const int PageRowsMax = 10_000;

    // Rows of usual length reach the number first.
    private const int PageTextMaxChars = 4 * 1024 * 1024;

    private const int SkippedMax = 100;

    /// <summary>
    /// Reads one answer of the normal or longpoll form. A server that ignores the limit is read in pages nevertheless, so no answer
    /// is gathered whole.
    /// </summary>
    /// <exception cref="MirrorException">The answer is no feed's, or was cut; the pages before are good.</exception>
    internal static IAsyncEnumerable<ChangesPage> ReadPagesAsync(PipeReader pipe, Sequence since, int limit, Uri url, CancellationToken cancellationToken) =>
        UpstreamEdge.ReadAsync(url, CutPagesAsync(pipe, since, limit, url, cancellationToken), cancellationToken);

    private static async IAsyncEnumerable<ChangesPage> CutPagesAsync(PipeReader pipe, Sequence since, int limit, Uri url, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var page = new PageBuilder(since);
        var scanner = new RowScanner(page.Add);
        var total = 0;
        while (await PushAsync(pipe, scanner, cancellationToken))
        {
            if (page.Rows >= Math.Min(limit, PageRowsMax) * 2 || page.TextChars >= PageTextMaxChars)
            {
                total += page.Rows;
                yield return page.Take(isAtHead: false);
            }

            Check(scanner, url);
        }

        total += page.Rows;
        if (!scanner.HasRows || LastSequence(scanner, url) is not { } envelope)
        {
            throw NoList(scanner, url, "changes");
        }

        yield return page.Take(isAtHead: envelope.Pending == 0 || total < limit, envelope.LastSequence);
    }

    /// <summary>Reads the continuous form, one row a line; each page holds the rows that had arrived together.</summary>
    internal static IAsyncEnumerable<ChangesPage> ReadLinesAsync(PipeReader pipe, Sequence since, Uri url, CancellationToken cancellationToken) =>
        UpstreamEdge.ReadAsync(url, CutLinesAsync(pipe, since, url, cancellationToken), cancellationToken);

    private static async IAsyncEnumerable<ChangesPage> CutLinesAsync(PipeReader pipe, Sequence since, Uri url, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var page = new PageBuilder(since);
        while (true)
        {
            var result = await pipe.ReadAsync(cancellationToken);
            var rest = result.Buffer;
            while (!page.IsEnded && page.Rows < PageRowsMax && rest.PositionOf((byte)'\n') is { } end)
            {
                page.AddLine(rest.Slice(0, end));
                rest = rest.Slice(rest.GetPosition(1, end));
            }

            var hasLine = rest.PositionOf((byte)'\n') is not null;
            var isOverlong = !hasLine && rest.Length > RowScanner.RowMaxBytes;
            pipe.AdvanceTo(rest.Start, hasLine ? rest.Start : rest.End);
            if (!page.IsEmpty)
            {
                yield return page.Take(isAtHead: !hasLine);
            }

            if (page.IsEnded || (result.IsCompleted && !hasLine))
            {
                yield break;
            }

            if (isOverlong)
            {
                throw UpstreamFailures.Malformed(url, $"has a line of more than {RowScanner.RowMaxBytes} bytes");
            }
        }
    }

    /// <summary>Reads one page of <c>_all_docs</c>, row by row as it comes.</summary>
    /// <exception cref="MirrorException">The answer is no list, was cut, or has a malformed row; the rows before are good.</exception>
    internal static IAsyncEnumerable<ListedPackage> ReadListAsync(PipeReader pipe, Uri url, CancellationToken cancellationToken) =>
        UpstreamEdge.ReadAsync(url, CutListAsync(pipe, url, cancellationToken), cancellationToken);

    private static async IAsyncEnumerable<ListedPackage> CutListAsync(PipeReader pipe, Uri url, [EnumeratorCancellation] CancellationToken cancellationToken)
    {
        var packages = new List<ListedPackage>();
        var hasOverlong = false;
        var scanner = new RowScanner(row =>
        {
            hasOverlong |= row.IsEmpty;
            if (ChangeRowParser.Listed(row) is { } package)
            {
                packages.Add(package);
            }
        });
        for (var isMore = true; isMore;)
        {
            isMore = await PushAsync(pipe, scanner, cancellationToken);
            if (hasOverlong)
            {
                // Left out, its package would be missing from the list.
                throw UpstreamFailures.Malformed(url, $"has a row of more than {RowScanner.RowMaxBytes} bytes");
            }

            foreach (var package in packages)
            {
                yield return package;
            }

            packages.Clear();
            Check(scanner, url);
        }

        if (!scanner.HasRows || !IsWhole(scanner))
        {
            throw NoList(scanner, url, "documents");
        }
    }

    private static async ValueTask<bool> PushAsync(PipeReader pipe, RowScanner scanner, CancellationToken cancellationToken)
    {
        var result = await pipe.ReadAsync(cancellationToken);
        foreach (var segment in result.Buffer)
        {
            scanner.Push(segment.Span);
        }

        pipe.AdvanceTo(result.Buffer.End);
        return !result.IsCompleted;
    }

    private static void Check(RowScanner scanner, Uri url)
    {
        if (scanner.IsRowEndless)
        {
            throw UpstreamFailures.Malformed(url, $"has a row without an end: more than {RowScanner.EndlessRowBytes} bytes");
        }

        if (scanner.IsOverlong)
        {
            throw UpstreamFailures.Malformed(url, $"is no list of rows ({Beginning(scanner)})");
        }
    }

    private static MirrorException NoList(RowScanner scanner, Uri url, string ofWhat) => CutJson.Is(scanner.Envelope)
        ? UpstreamFailures.BrokenOff(url)
        : UpstreamFailures.Malformed(url, $"is no list of {ofWhat} ({Beginning(scanner)})");

    private static string Beginning(RowScanner scanner) => scanner.Envelope.IsEmpty
        ? "it is empty"
        : $"it begins with {MirrorException.Quote(Encoding.UTF8.GetString(scanner.Envelope[..Math.Min(scanner.Envelope.Length, 60)]))}";

    private static bool IsWhole(RowScanner scanner)
    {
        try
        {
            using var envelope = JsonDocument.Parse(scanner.Envelope.ToArray());
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static (Sequence? LastSequence, long? Pending)? LastSequence(RowScanner scanner, Uri url)
    {
        Check(scanner, url);
        try
        {
            var json = scanner.Envelope;
            Sequence? last = null;
            long? pending = null;
            var reader = new Utf8JsonReader(json);
            reader.Read();
            while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
            {
                var isLast = reader.ValueTextEquals("last_seq"u8);
                var isPending = reader.ValueTextEquals("pending"u8);
                reader.Read();
                last = isLast ? ChangeRowParser.ReadSequence(ref reader, json) : last;
                pending = isPending && reader.TokenType == JsonTokenType.Number && reader.TryGetInt64(out var number) ? number : pending;
                reader.Skip();
            }

            reader.Read();
            return (last, pending);
        }
        catch (Exception exception) when (exception is JsonException or InvalidOperationException)
        {
            // Cut before its end, or not JSON.
            return null;
        }
    }

    /// <summary>Gathers rows into a page.</summary>
    private sealed class PageBuilder(Sequence since)
    {
        private List<ChangeRow> _rows = [];
        private List<string> _skipped = [];
        private Sequence _last = since;

        internal int Rows => _rows.Count;

        internal int TextChars { get; private set; }

        internal bool IsEmpty => _rows.Count == 0 && _skipped.Count == 0;

        internal bool IsEnded { get; private set; }

        internal void Add(ReadOnlySpan<byte> json)
        {
            var problem = "it is too long";
            if (!json.IsEmpty && ChangeRowParser.Change(json, _last, out problem) is { } row)
            {
                _rows.Add(row);
                _last = row.Sequence;
                TextChars += row.Id.Length + row.Sequence.Text.Length + (row.Rev?.Length ?? 0);
            }
            else if (_skipped.Count < SkippedMax)
            {
                // Bounded: the first hundred of a page tell enough.
                var beginning = Encoding.UTF8.GetString(json[..Math.Min(json.Length, 100)]);
                _skipped.Add($"A row after sequence {_last.Text} was skipped, {problem}: {MirrorException.Quote(beginning)}");
            }
        }

        internal void AddLine(ReadOnlySequence<byte> line)
        {
            var bytes = (line.IsSingleSegment ? line.FirstSpan : line.ToArray()).Trim(" \t\r"u8);
            if (bytes.IsEmpty)
            {
                // A heartbeat.
                return;
            }

            if (bytes.StartsWith("{\"last_seq\""u8))
            {
                IsEnded = true;
                return;
            }

            Add(bytes);
        }

        internal ChangesPage Take(bool isAtHead, Sequence? last = null)
        {
            _last = last ?? _last;
            var page = new ChangesPage(_rows, _last, isAtHead) { Skipped = _skipped };
            (_rows, _skipped, TextChars) = ([], [], 0);
            return page;
        }
    }
}
