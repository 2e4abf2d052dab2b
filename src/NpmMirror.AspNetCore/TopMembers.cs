using NpmMirror.Packuments;

namespace NpmMirror.AspNetCore;

/// <summary>
/// Which of the members that replication needs a document has at its top itself. It is told the document in pieces of any size, and looks at quotes
/// and brackets only: the document was read in full before it was stored.
/// </summary>
internal sealed class TopMembers
{
    private const int NameMaxBytes = 64;

    private static readonly System.Buffers.SearchValues<byte> Structure = System.Buffers.SearchValues.Create("\"{}[],"u8);

    private readonly byte[] _name = new byte[NameMaxBytes];
    private int _nameLength;
    private int _depth;
    private bool _isInText, _isEscaped, _isName, _isNameNext;

    internal bool HasId { get; private set; }

    internal bool HasRev { get; private set; }

    internal bool HasRevisions { get; private set; }

    /// <summary>Takes the next piece.</summary>
    internal void Read(ReadOnlySpan<byte> piece)
    {
        while (!piece.IsEmpty)
        {
            piece = _isInText ? ReadText(piece) : ReadStructure(piece);
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
                (_isNameNext, _nameLength) = (false, 0);
                break;
            case (byte)'{' or (byte)'[':
                _depth++;
                _isNameNext = _depth == 1;
                break;
            case (byte)',':
                _isNameNext = _depth == 1;
                break;
            default:
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
        // The longest is ten characters, and sixty bytes when all of them are escaped: what is longer than the buffer is none of them.
        if (!_isName)
        {
            return;
        }

        var name = _name.AsSpan(0, _nameLength);
        HasId |= JsonText.Is(name, "_id"u8);
        HasRev |= JsonText.Is(name, "_rev"u8);
        HasRevisions |= JsonText.Is(name, "_revisions"u8);
    }
}
