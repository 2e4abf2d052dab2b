using System.Collections.Concurrent;
using NpmMirror.Registry;

namespace NpmMirror.AspNetCore.Connections;

/// <summary>From requests to the renditions that answered them. Two generations, so that forgetting needs no order of use.</summary>
internal sealed class HotRequests
{
    private const int GenerationMax = 8_192;

    /// <summary>No client's words are longer; longer ones would only fill the memory.</summary>
    private const int KeyMaxBytes = 512;

    private volatile Generation _young = new();
    private volatile Generation _old = new();

    /// <summary>Tells whether a package may be served without asking anybody; nothing is found on connections until this is set.</summary>
    internal Func<CachedPackage, bool>? IsCurrent { get; set; }

    /// <summary>The rendition that answered this request before and still holds, or null.</summary>
    internal Rendition? Find(in RequestKey key)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return key.TryWrite(bytes, out var length) ? Find(bytes[..length])?.Rendition : null;
    }

    /// <summary>The answer that this request got before, when its package may still be served.</summary>
    internal HotAnswer? FindCurrent(in RequestHead head)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return IsCurrent is { } isCurrent && RequestKey.TryWrite(head, bytes, out var length) && Find(bytes[..length]) is { } answer && isCurrent(answer.Rendition.Package)
            ? answer
            : null;
    }

    /// <summary>Remembers the answer, unless a later request could not find it again anyway.</summary>
    internal void Remember(in RequestKey key, Rendition rendition)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        // Queries are endless, and nothing behind one is hot.
        if (rendition.IsKept && !key.Target.Contains('?') && key.TryWrite(bytes, out var length))
        {
            Remember(bytes[..length].ToArray(), new HotAnswer(rendition));
        }
    }

    private HotAnswer? Find(ReadOnlySpan<byte> key)
    {
        if (_young.Lookup.TryGetValue(key, out var answer))
        {
            return answer;
        }

        if (_old.Lookup.TryGetValue(key, out answer) && !answer.Rendition.Package.IsDropped)
        {
            Remember(key.ToArray(), answer);
            return answer;
        }

        return null;
    }

    private void Remember(byte[] key, HotAnswer answer)
    {
        var young = _young;
        young.Answers[key] = answer;
        if (young.Answers.Count > GenerationMax)
        {
            _old = young;
            _young = new Generation();
        }
    }

    private sealed class Generation
    {
        internal Generation() => Lookup = Answers.GetAlternateLookup<ReadOnlySpan<byte>>();

        internal ConcurrentDictionary<byte[], HotAnswer> Answers { get; } = new(new BytesComparer());

        internal ConcurrentDictionary<byte[], HotAnswer>.AlternateLookup<ReadOnlySpan<byte>> Lookup { get; }
    }

    private sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        // Seeded anew in each process: what clients may choose must not be steered into one bucket.
        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = new HashCode();
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
