using System.Diagnostics.Metrics;
using NpmMirror.AspNetCore.Routing;
using NpmMirror.Renditions;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>From requests to the answers they got.</summary>
internal sealed class AnswerMemory
{
    private const int AnswersMin = 8_192;

    /// <summary>No client's words are longer; longer ones would only fill the memory.</summary>
    private const int KeyMaxBytes = 512;

    private readonly BoundedCache<byte[], RememberedAnswer> _answers = new("answers", AnswersMin, new BytesComparer());

    /// <summary>The bytes of files that answers send.</summary>
    internal SmallFiles SmallFiles { get; } = new();

    /// <summary>Tells a mirror's operators how many there are.</summary>
    internal void MeasureIn(Meter meter) => _answers.MeasureIn(meter);

    /// <summary>The rendition that answered this request before and still holds, or null.</summary>
    internal Rendition? Find(in RequestKey key)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return IsRemembered(key) && key.TryWrite(bytes, out var length) && _answers.TryGet((ReadOnlySpan<byte>)bytes[..length], out var answer) ? (answer as RememberedRendition)?.Rendition : null;
    }

    /// <summary>The answer that this request got before, or null.</summary>
    internal RememberedAnswer? Find(in RequestHead head)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        return RequestKey.TryWrite(head, bytes, out var length) && _answers.TryGet((ReadOnlySpan<byte>)bytes[..length], out var answer) ? answer : null;
    }

    /// <summary>Remembers the answer, unless no later request can ask in these words.</summary>
    internal void Remember(in RequestKey key, RememberedAnswer answer)
    {
        Span<byte> bytes = stackalloc byte[KeyMaxBytes];
        if (IsRemembered(key) && key.TryWrite(bytes, out var length))
        {
            _answers.Set(bytes[..length].ToArray(), answer);
        }
    }

    /// <summary>Queries are endless: no target with one is remembered. Without a host the answer names the local address, which differs by connection.</summary>
    private static bool IsRemembered(in RequestKey key) => !key.Target.Contains('?') && key.Origin.Host.Length > 0;

    private sealed class BytesComparer : IEqualityComparer<byte[]>, IAlternateEqualityComparer<ReadOnlySpan<byte>, byte[]>
    {
        public bool Equals(byte[]? x, byte[]? y) => x.AsSpan().SequenceEqual(y);

        public bool Equals(ReadOnlySpan<byte> alternate, byte[] other) => alternate.SequenceEqual(other);

        public int GetHashCode(byte[] obj) => GetHashCode(obj.AsSpan());

        // Seeded anew in each process: clients choose the keys and must not steer them into one bucket.
        public int GetHashCode(ReadOnlySpan<byte> alternate)
        {
            var hash = new HashCode();
            hash.AddBytes(alternate);
            return hash.ToHashCode();
        }

        public byte[] Create(ReadOnlySpan<byte> alternate) => alternate.ToArray();
    }
}
