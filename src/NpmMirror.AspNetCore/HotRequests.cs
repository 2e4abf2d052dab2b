using System.Collections.Concurrent;
using NpmMirror.Registry;

namespace NpmMirror.AspNetCore;

/// <summary>What decides an answer, as it came over the wire: nothing of it is parsed when the same comes again.</summary>
internal readonly record struct RequestKey(string Target, Origin Origin, string Accept, string AcceptEncoding)
{
    internal int LengthChars => Target.Length + Origin.Host.Length + Origin.Prefix.Length + Accept.Length + AcceptEncoding.Length;

    // The target alone spreads well enough: few clients ask for one package in different ways.
    public override int GetHashCode() => Target.GetHashCode(StringComparison.Ordinal);
}

/// <summary>From requests to the renditions that answered them. Two generations, so that forgetting needs no order of use.</summary>
internal sealed class HotRequests
{
    private const int GenerationMax = 8_192;

    /// <summary>No client's words are longer; longer ones would only fill the memory.</summary>
    private const int KeyMaxChars = 512;

    private volatile ConcurrentDictionary<RequestKey, Rendition> _young = new();
    private volatile ConcurrentDictionary<RequestKey, Rendition> _old = new();

    /// <summary>The rendition that answered this request before and still holds, or null.</summary>
    internal Rendition? Find(in RequestKey key)
    {
        if (_young.TryGetValue(key, out var rendition))
        {
            return rendition;
        }

        if (_old.TryGetValue(key, out rendition) && !rendition.Package.IsDropped)
        {
            Remember(key, rendition);
            return rendition;
        }

        return null;
    }

    /// <summary>Remembers the answer, unless a later request could not find it again anyway.</summary>
    internal void Remember(in RequestKey key, Rendition rendition)
    {
        // Queries are endless, and nothing behind one is hot.
        if (!rendition.IsKept || key.Target.Contains('?') || key.LengthChars > KeyMaxChars)
        {
            return;
        }

        var young = _young;
        young[key] = rendition;
        if (young.Count > GenerationMax)
        {
            _old = young;
            _young = new ConcurrentDictionary<RequestKey, Rendition>();
        }
    }
}
