using System.Buffers;

namespace NpmMirror.Feeds;

/// <summary>
/// Cuts a page, <c>{"results":[row, row, …],"last_seq":…}</c>, into rows and the envelope around them, from pieces of any length.
/// It looks at brackets and strings only, so a malformed row affects no other row.
/// </summary>
/// <param name="onRow">Gets each row's bytes; empty for one that was longer than allowed.</param>
internal sealed class RowScanner(RowScanner.RowHandler onRow)
{
    /// <summary>The longest row accepted; rows without documents have a few hundred bytes.</summary>
    internal const int RowMaxBytes = 1024 * 1024;

    /// <summary>A row that is longer than this has no end.</summary>
    internal const int EndlessRowBytes = 64 * 1024 * 1024;

    private const int EnvelopeMaxBytes = 1024 * 1024;

    private static readonly SearchValues<byte> Structural = SearchValues.Create("\"{}[],\n"u8);

    private static readonly SearchValues<byte> InString = SearchValues.Create("\"\\\n"u8);

    private static ReadOnlySpan<byte> RowBegin => "{\"seq\":"u8;

    private static ReadOnlySpan<byte> RowsEnd => "],\n\"last_seq\":"u8;

    private readonly ArrayBufferWriter<byte> _envelope = new();
    private readonly ArrayBufferWriter<byte> _row = new();
    private Place _place;
    private int _depth;
    private bool _isInString;
    private bool _isEscaped;
    private bool _isOversized;
    private long _rowBytes;
    private int _lineStart = -1;

    /// <summary>Gets a row's bytes, valid during the call.</summary>
    internal delegate void RowHandler(ReadOnlySpan<byte> row);

    private enum Place
    {
        BeforeRows,
        InRows,
        AfterRows,
    }

    /// <summary>The page with its rows taken out: short JSON.</summary>
    internal ReadOnlySpan<byte> Envelope => _envelope.WrittenSpan;

    /// <summary>True when the list of rows came to its end; a page without it was cut.</summary>
    internal bool HasRows => _place == Place.AfterRows;

    /// <summary>True when the envelope was longer than any feed's.</summary>
    internal bool IsOverlong => _envelope.WrittenCount > EnvelopeMaxBytes;

    /// <summary>True when a row goes on for longer than any.</summary>
    internal bool IsRowEndless => _rowBytes > EndlessRowBytes;

    internal void Push(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty && !IsOverlong)
        {
            var taken = _place == Place.InRows ? PushRow(bytes) : PushEnvelope(bytes);
            bytes = bytes[taken..];
        }
    }

    private int PushEnvelope(ReadOnlySpan<byte> bytes)
    {
        var length = NextStop(bytes, out var stop);
        var taken = Math.Min(bytes.Length, length + 1);
        _envelope.Write(bytes[..taken]);
        if (stop == (byte)'[' && !_isInString && _depth == 1 && _place == Place.BeforeRows && IsRowsKey(_envelope.WrittenSpan[..^1]))
        {
            _place = Place.InRows;
            StartRow();
        }
        else
        {
            Track(stop);
        }

        return taken;
    }

    private static bool IsRowsKey(ReadOnlySpan<byte> beforeBracket)
    {
        var text = beforeBracket.TrimEnd(" \t\r\n"u8);
        if (text is not [.., (byte)':'])
        {
            return false;
        }

        var key = text[..^1].TrimEnd(" \t\r\n"u8);
        return key.EndsWith("\"results\""u8) || key.EndsWith("\"rows\""u8);
    }

    private int PushRow(ReadOnlySpan<byte> bytes)
    {
        var length = NextStop(bytes, out var stop);
        if (_depth == 0 && !_isInString && (stop is (byte)',' or (byte)']'))
        {
            Append(bytes[..length]);
            EndRow();
            if (stop == (byte)']')
            {
                _place = Place.AfterRows;
                _depth = 1;
                _envelope.Write("]"u8);
            }

            return length + 1;
        }

        var taken = Math.Min(bytes.Length, length + 1);
        Append(bytes[..taken]);
        Track(stop);
        if (!Resynchronized() && stop == (byte)'\n' && !IsEndBegun())
        {
            _lineStart = _row.WrittenCount;
        }

        return taken;
    }

    /// <summary>Where the next byte that matters is; the length of it all when there is none.</summary>
    private int NextStop(ReadOnlySpan<byte> bytes, out byte stop)
    {
        if (_isEscaped)
        {
            stop = 0;
            _isEscaped = false;
            return 0;
        }

        var at = _isInString ? bytes.IndexOfAny(InString) : bytes.IndexOfAny(Structural);
        stop = at < 0 ? (byte)0 : bytes[at];
        return at < 0 ? bytes.Length : at;
    }

    private void Track(byte stop)
    {
        switch (stop)
        {
            case (byte)'"':
                _isInString = !_isInString;
                break;
            case (byte)'\\':
                _isEscaped = true;
                break;
            case (byte)'{' or (byte)'[':
                _depth++;
                break;
            case (byte)'}' or (byte)']':
                _depth = Math.Max(0, _depth - 1);
                break;
        }
    }

    private void Append(ReadOnlySpan<byte> bytes)
    {
        _rowBytes += bytes.Length;
        _isOversized |= _row.WrittenCount + bytes.Length > RowMaxBytes;
        if (!_isOversized)
        {
            _row.Write(bytes);
        }
    }

    private void EndRow()
    {
        var row = _row.WrittenSpan.Trim(" \t\r\n"u8);
        if (_isOversized)
        {
            onRow([]);
        }
        else if (!row.IsEmpty)
        {
            onRow(row);
        }

        StartRow();
    }

    private void StartRow()
    {
        _row.ResetWrittenCount();
        _isOversized = false;
        _rowBytes = 0;
        _lineStart = -1;
        _isInString = false;
        _isEscaped = false;
        _depth = 0;
    }

    /// <summary>
    /// A row that forgot a bracket or a quote would swallow all that follow. CouchDB begins each row, and the end of them all, on a
    /// line of its own, so such a line inside a row ends that row: no valid row of a feed holds one.
    /// </summary>
    private bool Resynchronized()
    {
        if (_lineStart < 0 || _isOversized)
        {
            return false;
        }

        var line = _row.WrittenSpan[_lineStart..];
        if (line.StartsWith(RowBegin) || line.StartsWith(RowsEnd))
        {
            var swallowing = _row.WrittenSpan[.._lineStart].Trim(" \t\r\n,"u8);
            if (swallowing.IsEmpty)
            {
                // The line that a row begins on, as every row does.
                _lineStart = -1;
                return false;
            }

            var unread = line.ToArray();
            onRow(swallowing);
            StartRow();
            Push(unread);
            return true;
        }

        if (!RowBegin.StartsWith(line) && !RowsEnd.StartsWith(line))
        {
            _lineStart = -1;
        }

        return false;
    }

    private bool IsEndBegun() => _lineStart >= 0 && !_isOversized && _row.WrittenSpan[_lineStart..].SequenceEqual("],\n"u8);
}
