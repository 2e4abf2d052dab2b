using System.Text.Json;

namespace NpmMirror.Packuments;

/// <summary>Walks through the members of an object in a document that was read before, and makes no string of any of them.</summary>
internal ref struct JsonMemberReader
{
    private readonly int _origin;
    private Utf8JsonReader _reader;

    /// <summary>Before the first member. A slice that holds no object has none.</summary>
    public JsonMemberReader(ReadOnlySpan<byte> document, Slice slice)
    {
        var isObject = slice.Length > 0 && document[slice.Offset] == '{';
        _origin = slice.Offset;
        _reader = new Utf8JsonReader(isObject ? slice.Of(document) : "{}"u8, JsonText.ReaderOptions);
        _reader.Read();
    }

    /// <summary>Where the member begins: at the quote of its name.</summary>
    public int Start { get; private set; }

    /// <summary>The name without its quotes, escapes and all.</summary>
    public ReadOnlySpan<byte> Name { get; private set; }

    /// <summary>Where the value lies.</summary>
    public Slice Value { get; private set; }

    /// <summary>Goes to the next member; false after the last.</summary>
    /// <exception cref="MirrorException"><see cref="MirrorFault.StoreDamaged"/>: this is not the JSON that was stored.</exception>
    public bool MoveNext()
    {
        try
        {
            if (!_reader.Read() || _reader.TokenType != JsonTokenType.PropertyName)
            {
                return false;
            }

            Start = _origin + (int)_reader.TokenStartIndex;
            Name = _reader.ValueSpan;
            Value = JsonMembers.ReadValue(ref _reader, _origin);
            return true;
        }
        catch (JsonException e)
        {
            throw new MirrorException(
                MirrorFault.StoreDamaged,
                "A stored document is damaged: its JSON is not what it was; fetch the package again (?refresh=1) or restore the store from a backup.",
                inner: e);
        }
    }
}
