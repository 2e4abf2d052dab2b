using System.Collections.Concurrent;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Renditions;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>From requests to the answers they got. Two generations, so that forgetting needs no order of use.</summary>
internal sealed class AnswerMemory
{
    private const int GenerationMax = 8_192;

    /// <summary>No client's words are longer; longer ones would only fill the memory.</summary>
    private const int KeyMaxBytes = 512;

    private volatile Generation _young = new();
    private volatile Generation _old = new();

    /// <summary>The rendition that answered this request before and still holds, or null.</summary>
    internal Rendition? Find(in RequestKey key)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return key.TryWrite(bytes, out var length) ? (Find(bytes[..length]) as RememberedRendition)?.Rendition : null;
    }

    /// <summary>The answer that this request got before, or null.</summary>
    internal RememberedAnswer? Find(in RequestHead head)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return RequestKey.TryWrite(head, bytes, out var length) ? Find(bytes[..length]) : null;
    }

    /// <summary>Remembers the answer, unless no later request can ask in these words.</summary>
    internal void Remember(in RequestKey key, RememberedAnswer answer)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        // Queries are endless: no target with one is remembered. Without a host the answer names the local address, which differs by connection.
        if (!key.Target.Contains('?') && key.Origin.Host.Length > 0 && key.TryWrite(bytes, out var length))
        {
            Remember(bytes[..length].ToArray(), answer);
        }
    }

    private RememberedAnswer? Find(ReadOnlySpan<byte> key)
    {
        if (_young.Lookup.TryGetValue(key, out var answer))
        {
            return answer;
        }

        if (_old.Lookup.TryGetValue(key, out answer) && answer.IsWorthKeeping)
        {
            Remember(key.ToArray(), answer);
            return answer;
        }

        return null;
    }

    private void Remember(byte[] key, RememberedAnswer answer)
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

        internal ConcurrentDictionary<byte[], RememberedAnswer> Answers { get; } = new(new BytesComparer());

        internal ConcurrentDictionary<byte[], RememberedAnswer>.AlternateLookup<ReadOnlySpan<byte>> Lookup { get; }
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
