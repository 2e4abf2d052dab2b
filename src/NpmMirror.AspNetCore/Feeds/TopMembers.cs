using NpmMirror.Packuments;

namespace NpmMirror.AspNetCore.Feeds;

/// <summary>
/// Which of the members that replication needs a document has at its top itself. It is told the document in pieces of any size, and looks at quotes
/// and brackets only: the document was read in full before it was stored.
/// </summary>
internal sealed class TopMembers
{
    private const int NameMaxBytes = 96;
    private const int AttachmentsMax = 16;

    private static readonly System.Buffers.SearchValues<byte> Structure = System.Buffers.SearchValues.Create("\"{}[],"u8);

    private readonly byte[] _name = new byte[NameMaxBytes];
    private int _nameLength;
    private int _depth;
    private bool _isInText, _isEscaped, _isName, _isNameNext, _isAttachments;
    private long _at, _nameAt;
    private long? _comma;

    private readonly List<(long Start, long End)> _attachments = [];

    /// <summary>Where the first member begins, after the brace; null before the document was read.</summary>
    internal long? Begin { get; private set; }

    /// <summary>Whether there are members besides <c>_attachments</c>.</summary>
    internal bool HasOthers { get; private set; }

    /// <summary>Where <c>_attachments</c> stand, with the comma that goes with each, in the document's order: without them it is still JSON.</summary>
    internal IReadOnlyList<(long Start, long End)> Attachments => _attachments;

    internal bool HasId { get; private set; }

    internal bool HasRev { get; private set; }

    internal bool HasRevisions { get; private set; }

    /// <summary>Takes the next piece.</summary>
    internal void Read(ReadOnlySpan<byte> piece)
    {
        while (!piece.IsEmpty)
        {
            var rest = _isInText ? ReadText(piece) : ReadStructure(piece);
            _at += piece.Length - rest.Length;
            piece = rest;
        }
    }

    private ReadOnlySpan<byte> ReadStructure(ReadOnlySpan<byte> piece)
    {
        var at = piece.IndexOfAny(Structure);
        if (at < 0)
        {
            return [];
        }

        switch (piece[at])
        {
            case (byte)'"':
                _isInText = true;
                _isName = _isNameNext;
                _nameAt = _isName ? _at + at : _nameAt;
                (_isNameNext, _nameLength) = (false, 0);
                break;
            case (byte)'{' or (byte)'[':
                _depth++;
                _isNameNext = _depth == 1;
                Begin ??= _at + at + 1;
                break;
            case (byte)',':
                _isNameNext = _depth == 1;
                EndMember(_at + at, isLast: false);
                break;
            default:
                EndMember(_at + at, isLast: true);
                _depth--;
                break;
        }

        return piece[(at + 1)..];
    }

    private ReadOnlySpan<byte> ReadText(ReadOnlySpan<byte> piece)
    {
        if (_isEscaped)
        {
            _isEscaped = false;
            Keep(piece[..1]);
            return piece[1..];
        }

        var at = piece.IndexOfAny((byte)'"', (byte)'\\');
        Keep(at < 0 ? piece : piece[..at]);
        if (at < 0)
        {
            return [];
        }

        if (piece[at] == '\\')
        {
            _isEscaped = true;
            Keep("\\"u8);
        }
        else
        {
            _isInText = false;
            Note();
        }

        return piece[(at + 1)..];
    }

    private void Keep(ReadOnlySpan<byte> text)
    {
        if (_isName)
        {
            var kept = text[..Math.Min(text.Length, NameMaxBytes - _nameLength)];
            kept.CopyTo(_name.AsSpan(_nameLength));
            _nameLength += kept.Length;
        }
    }

    private void Note()
    {
        // The longest is twelve characters, and seventy-two bytes when all of them are escaped: what is longer than the buffer is none of them.
        if (!_isName)
        {
            return;
        }

        var name = _name.AsSpan(0, _nameLength);
        HasId |= JsonText.Is(name, "_id"u8);
        HasRev |= JsonText.Is(name, "_rev"u8);
        HasRevisions |= JsonText.Is(name, "_revisions"u8);
        // More of them than any document has are left in: they are only of no use.
        _isAttachments = _attachments.Count < AttachmentsMax && JsonText.Is(name, "_attachments"u8);
        HasOthers |= !_isAttachments;
    }

    /// <summary>A member ended before the comma or the brace at this place, where it is one of the top.</summary>
    private void EndMember(long at, bool isLast)
    {
        if (_depth != 1)
        {
            return;
        }

        if (!_isAttachments)
        {
            _comma = isLast ? _comma : at;
            return;
        }

        _isAttachments = false;
        // The last one takes the comma before it, and the ones that stand between.
        var start = isLast ? _comma ?? _nameAt : _nameAt;
        _attachments.RemoveAll(earlier => earlier.Start >= start);
        _attachments.Add((start, isLast ? at : at + 1));
    }
}
