namespace NpmMirror.Upstream;

/// <summary>
/// The mirrors that a request came through, each by its id, the first one first. A mirror that finds itself among them is part of a loop.
/// The ids go with the work that a request begins, as a trace does: its own requests to the upstream forward them.
/// </summary>
internal sealed class MirrorChain
{
    /// <summary>The header they travel in, separated by commas.</summary>
    public const string Header = "npm-mirror-instance";

    /// <summary>No sensible setup chains this many mirrors; a loop that hides its members' ids ends here too.</summary>
    private const int IdsMax = 16;

    private const int IdMaxChars = 64;

    private static readonly AsyncLocal<MirrorChain?> Ambient = new();

    private readonly List<string> _ids = [];

    private MirrorChain()
    {
    }

    /// <summary>The chain of the request that this work belongs to; null for work without a mirror's request.</summary>
    public static MirrorChain? Current
    {
        get => Ambient.Value;
        set => Ambient.Value = value;
    }

    /// <summary>True when more mirrors passed the request on than any should.</summary>
    public bool IsTooLong => _ids.Count >= IdsMax;

    /// <summary>Reads the header. A text that cannot be an id is left out; the rest after the last id that counts is not read.</summary>
    public static MirrorChain Parse(string header)
    {
        var chain = new MirrorChain();
        foreach (var range in header.AsSpan().Split(','))
        {
            var id = header.AsSpan(range).Trim();
            if (!chain.IsTooLong && IsId(id))
            {
                chain._ids.Add(id.ToString());
            }
        }

        return chain;
    }

    /// <summary>True when the request came through this mirror.</summary>
    public bool Contains(string id) => _ids.Contains(id, StringComparer.Ordinal);

    /// <summary>The header for the upstream: the chain so far and this mirror's own id; null for none.</summary>
    internal static string? HeaderOf(string? own)
    {
        var chain = Ambient.Value?._ids ?? [];
        return own is null && chain.Count == 0 ? null : string.Join(", ", own is null ? chain : [.. chain, own]);
    }

    private static bool IsId(ReadOnlySpan<char> text)
    {
        foreach (var c in text)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_' or '.'))
            {
                return false;
            }
        }

        return text.Length is > 0 and <= IdMaxChars;
    }
}
