using System.Buffers;

namespace NpmMirror.Packuments;

/// <summary>
/// Walks through the members of an object in a document that a full reader has accepted before. It looks for quotes and brackets only, which
/// takes a fraction of the reader's time; where a stored document is damaged it ends with an exception, never outside the object.
/// </summary>
internal ref struct JsonMemberScanner
{
    private static readonly SearchValues<byte> Structure = SearchValues.Create("\"{}[]"u8);
    private static readonly SearchValues<byte> Ends = SearchValues.Create(",}] \t\r\n"u8);

    private readonly ReadOnlySpan<byte> _json;
    private int _at;

    /// <summary>Before the first member. A slice that holds no object has none.</summary>
    public JsonMemberScanner(ReadOnlySpan<byte> document, Slice slice)
    {
        _json = document[..(slice.Offset + slice.Length)];
        _at = slice.Length > 0 && document[slice.Offset] == '{' ? slice.Offset + 1 : _json.Length;
    }

    /// <summary>Where the member begins: at the quote of its name.</summary>
    public int Start { get; private set; }

    /// <summary>The name without its quotes, escapes and all.</summary>
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>Where the value lies.</summary>
    public Slice Value { get; private set; }

    /// <summary>Goes to the next member; false behind the last.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: this is not the JSON that was stored.</exception>
    public bool MoveNext()
    {
        if (_at >= _json.Length)
        {
            return false;
        }

        while (Current is (byte)',' or (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
        {
            _at++;
        }

        if (Current == '}')
        {
            _at = _json.Length;
            return false;
        }

        Start = _at;
        _at = EndOfString(_at);
        Name = _json[(Start + 1)..(_at - 1)];
        while (Current is (byte)':' or (byte)' ' or (byte)'\n' or (byte)'\r' or (byte)'\t')
        {
            _at++;
        }

        var start = _at;
        _at = EndOfValue(_at);
        Value = new Slice(start, _at - start);
        return true;
    }

    private readonly byte Current => _at < _json.Length ? _json[_at] : throw Damaged();

    private readonly int EndOfValue(int at) => _json[at] switch
    {
        (byte)'"' => EndOfString(at),
        (byte)'{' or (byte)'[' => EndOfNested(at),
        _ => Find(at, _json[at..].IndexOfAny(Ends)),
    };

    private readonly int EndOfNested(int at)
    {
        var depth = 0;
        do
        {
            at = Find(at, _json[at..].IndexOfAny(Structure));
            switch (_json[at])
            {
                case (byte)'"':
                    at = EndOfString(at);
                    break;
                case (byte)'{' or (byte)'[':
                    depth++;
                    at++;
                    break;
                default:
                    depth--;
                    at++;
                    break;
            }
        }
        while (depth > 0);
        return at;
    }

    private readonly int EndOfString(int quote)
    {
        for (var at = _json[quote] == '"' ? quote + 1 : throw Damaged(); ; at += 2)
        {
            at = at <= _json.Length ? Find(at, _json[at..].IndexOfAny((byte)'"', (byte)'\\')) : throw Damaged();
            if (_json[at] == '"')
            {
                return at + 1;
            }
        }
    }

    private static int Find(int from, int offset) => offset >= 0 ? from + offset : throw Damaged();

    private static MirrorException Damaged() => new(MirrorFault.StoreDamaged, "A stored document is damaged: its JSON is not what it was; fetch the package again (?refresh=1) or restore the store from a backup.");
}
