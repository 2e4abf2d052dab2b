using System.Buffers;
using System.Security.Cryptography;

namespace NpmMirror.Packuments;

/// <summary>
/// Compares the bytes of a tarball with its manifest's promise, while they arrive. As npm does: of several hashes the strongest
/// algorithm counts, one right hash of it suffices, and <c>shasum</c> counts only if <c>integrity</c> names no SHA. MD5 counts if there is
/// nothing else.
/// </summary>
internal sealed class IntegrityCheck : IDisposable
{
    // A forged weaker hash must not get past the stronger one, so strength decides, not order.
    private static readonly (string Prefix, HashAlgorithmName Algorithm, int SizeBytes)[] StrongestFirst =
    [
        ("sha512-", HashAlgorithmName.SHA512, SHA512.HashSizeInBytes),
        ("sha384-", HashAlgorithmName.SHA384, SHA384.HashSizeInBytes),
        ("sha256-", HashAlgorithmName.SHA256, SHA256.HashSizeInBytes),
        ("sha1-", HashAlgorithmName.SHA1, SHA1.HashSizeInBytes),
    ];

    private const string Md5 = "md5-";

    private static readonly SearchValues<char> Blanks = SearchValues.Create(" \t\r\n\f");

    // A promise that cannot be decoded is kept as no bytes: it is never fulfilled, rather than forgotten.
    private readonly List<byte[]> _accepted = [];
    private readonly string _expected = "";
    private readonly string _prefix = "";
    private IncrementalHash? _hash;

    /// <summary>Reads the promise.</summary>
    public IntegrityCheck(TarballPromise promise)
    {
        foreach (var (prefix, algorithm, sizeBytes) in StrongestFirst)
        {
            foreach (var hash in HashesOf(promise.Integrity, prefix))
            {
                _accepted.Add(DecodeBase64(hash, sizeBytes));
                _expected = _expected.Length == 0 ? prefix + hash : $"{_expected} or {prefix}{hash}";
            }

            if (_accepted.Count > 0)
            {
                Algorithm = algorithm;
                _prefix = prefix;
                return;
            }
        }

        if (!string.IsNullOrWhiteSpace(promise.Shasum))
        {
            Algorithm = HashAlgorithmName.SHA1;
            _accepted.Add(DecodeHex(promise.Shasum.Trim(), SHA1.HashSizeInBytes));
            _expected = promise.Shasum.Trim();
            return;
        }

        if (HashesOf(promise.Integrity, Md5) is { Count: > 0 } weak)
        {
            // It stops no forger, but finds a damaged transfer.
            Algorithm = HashAlgorithmName.MD5;
            _prefix = Md5;
            _accepted.AddRange(weak.Select(hash => DecodeBase64(hash, MD5.HashSizeInBytes)));
            _expected = string.Join(" or ", weak.Select(hash => Md5 + hash));
        }
    }

    /// <summary>True when the manifest promises something that can be checked.</summary>
    public bool IsPromised => _accepted.Count > 0;

    /// <summary>The algorithm that is computed; null if no hash is promised. A caller that computes it anyway calls <see cref="Verify"/> instead of <see cref="Append"/>.</summary>
    public HashAlgorithmName? Algorithm { get; }

    /// <summary>Takes the next bytes of the tarball.</summary>
    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (Algorithm is { } algorithm)
        {
            _hash ??= IncrementalHash.CreateHash(algorithm);
            _hash.AppendData(bytes);
        }
    }

    /// <summary>After the last byte: null when the bytes are right or nothing is promised, else one sentence with the hash expected and the one found.</summary>
    public string? Finish()
    {
        if (Algorithm is not { } algorithm)
        {
            return null;
        }

        _hash ??= IncrementalHash.CreateHash(algorithm);
        return Verify(_hash.GetHashAndReset());
    }

    /// <summary>As <see cref="Finish"/>, with a hash of <see cref="Algorithm"/> that the caller computed.</summary>
    public string? Verify(ReadOnlySpan<byte> actual)
    {
        foreach (var accepted in _accepted)
        {
            if (actual.SequenceEqual(accepted))
            {
                return null;
            }
        }

        if (!IsPromised)
        {
            return null;
        }

        var found = _prefix.Length == 0 ? Convert.ToHexStringLower(actual) : _prefix + Convert.ToBase64String(actual);
        return $"The manifest promises {MirrorException.Quote(_expected)} and the bytes have {MirrorException.Quote(found)}.";
    }

    /// <inheritdoc/>
    public void Dispose() => _hash?.Dispose();

    private static List<string> HashesOf(string? integrity, string prefix)
    {
        var hashes = new List<string>();
        var rest = integrity.AsSpan();
        while (!rest.IsEmpty)
        {
            var end = rest.IndexOfAny(Blanks);
            var word = end < 0 ? rest : rest[..end];
            rest = end < 0 ? [] : rest[(end + 1)..];
            if (word.StartsWith(prefix, StringComparison.Ordinal))
            {
                // Options may follow a question mark; none are defined.
                var options = word.IndexOf('?');
                hashes.Add((options < 0 ? word : word[..options])[prefix.Length..].ToString());
            }
        }

        return hashes;
    }

    private static byte[] DecodeBase64(string text, int sizeBytes)
    {
        var decoded = new byte[sizeBytes];
        return Convert.TryFromBase64String(text, decoded, out var written) && written == sizeBytes ? decoded : [];
    }

    private static byte[] DecodeHex(string text, int sizeBytes)
    {
        var decoded = new byte[sizeBytes];
        return Convert.FromHexString(text, decoded, out _, out var written) == OperationStatus.Done && written == sizeBytes ? decoded : [];
    }
}
