using System.Security.Cryptography;
using NpmMirror.Packuments;

namespace NpmMirror.Tests.Packuments;

public sealed class IntegrityCheckTests
{
    private static readonly byte[] Tarball = "the bytes of a tarball"u8.ToArray();

    [Fact]
    public void Accepts_the_promised_bytes_however_they_are_cut()
    {
        using var check = new IntegrityCheck(new TarballPromise(Sha512(Tarball), null));
        check.Append(Tarball.AsSpan(0, 3));
        check.Append([]);
        check.Append(Tarball.AsSpan(3));
        Assert.Null(check.Finish());
    }

    [Fact]
    public void Tells_the_expected_and_the_found_hash()
    {
        using var check = new IntegrityCheck(new TarballPromise(Sha512(Tarball), null));
        check.Append("other bytes"u8);
        var sentence = check.Finish();
        Assert.Contains(Sha512(Tarball), sentence, StringComparison.Ordinal);
        Assert.Contains(Sha512("other bytes"u8), sentence, StringComparison.Ordinal);
    }

    [Claim("The strongest promised hash decides, and an unreadable promise is never fulfilled",
        With = [nameof(A_promise_that_cannot_be_read_is_never_fulfilled)],
        Red = "the weakest algorithm is looked for first; a promise that cannot be decoded is forgotten")]
    [Fact]
    public void A_right_weak_hash_does_not_excuse_a_wrong_strong_one()
    {
        var promise = new TarballPromise($"sha1-{Convert.ToBase64String(Sha1(Tarball))} {Sha512("other"u8)}", Convert.ToHexString(Sha1(Tarball)));
        Assert.NotNull(Finish(promise, Tarball));
    }

    [Fact]
    public void One_of_several_hashes_of_the_strongest_algorithm_suffices()
    {
        Assert.Null(Finish(new TarballPromise($"{Sha512("other"u8)}\n  {Sha512(Tarball)}?option", null), Tarball));
        Assert.Null(Finish(new TarballPromise($"{Sha512(Tarball)} {Sha512("other"u8)}", null), Tarball));
        Assert.Null(Finish(new TarballPromise($"{Sha512(Tarball)}?option\t{Sha512("other"u8)}", null), Tarball));
    }

    [Claim("The sentence about a wrong tarball tells every promised hash, and in the same form the hash of the bytes",
        Red = "only the last promised hash is told; the hash of the bytes is told in hexadecimal beside a promise in Base64; an MD5 is told without its name")]
    [Theory]
    [InlineData("sha512-AAAA md5-CCCC sha512-BBBB", null, "sha512-AAAA or sha512-BBBB", "sha512-capVHdJwRsmHUjK3tPOpLzSBvkwydhs+V8UL5H+GgrarxPdx03C/WwSRM2WMhD+uIFqw41YCjvTMX4DyCpGdbw==")]
    [InlineData("md5-AAAA md5-BBBB?option", null, "md5-AAAA or md5-BBBB", "md5-9mCqYRkf+Cvc5dVVP194fQ==")]
    [InlineData("md5-AAAA", " 00ff ", "00ff", "8671c8f01acb0ee96236701c04e27296e29c3730")]
    public void The_sentence_tells_every_promised_hash_and_the_one_found(string? integrity, string? shasum, string promised, string found) =>
        Assert.Equal($"The manifest promises “{promised}” and the bytes have “{found}”.", Finish(new TarballPromise(integrity, shasum), Tarball));

    [Fact]
    public void The_shasum_counts_where_there_is_no_known_algorithm()
    {
        var shasum = Convert.ToHexStringLower(Sha1(Tarball));
        Assert.Null(Finish(new TarballPromise("md5-abc blake3-def", shasum), Tarball));
        Assert.Null(Finish(new TarballPromise(null, shasum.ToUpperInvariant()), Tarball));
        Assert.NotNull(Finish(new TarballPromise(null, shasum), "other"u8.ToArray()));
    }

    [Theory]
    [InlineData("md5-abc", null)]
    [InlineData("md5-1B2M2Y8AsgTpgAmY7PhCfg==", null)]
    [InlineData("md5-1B2M2Y8AsgTpgAmY7PhCfg==", "00")]
    [InlineData("sha512-", null)]
    [InlineData("sha512-not base64", null)]
    [InlineData("sha512-AAAA", null)]
    [InlineData(null, "xyz")]
    [InlineData(null, "00")]
    public void A_promise_that_cannot_be_read_is_never_fulfilled(string? integrity, string? shasum) =>
        Assert.NotNull(Finish(new TarballPromise(integrity, shasum), Tarball));

    [Theory]
    [InlineData(null, null)]
    [InlineData("", " ")]
    [InlineData("whirlpool-abc", null)]
    public void Nothing_promised_accepts_all_bytes_and_says_so(string? integrity, string? shasum)
    {
        using var check = new IntegrityCheck(new TarballPromise(integrity, shasum));
        check.Append(Tarball);
        Assert.False(check.IsPromised);
        Assert.Null(check.Algorithm);
        Assert.Null(check.Finish());
    }

    [Fact]
    public void Checks_a_hash_that_was_computed_elsewhere()
    {
        using var check = new IntegrityCheck(new TarballPromise(Sha512(Tarball), null));
        Assert.Equal(HashAlgorithmName.SHA512, check.Algorithm);
        Assert.Null(check.Verify(SHA512.HashData(Tarball)));
        Assert.NotNull(check.Verify(SHA512.HashData("other"u8)));
    }

    [Fact]
    public void Nothing_promised_accepts_also_a_hash_that_was_computed_elsewhere()
    {
        using var check = new IntegrityCheck(new TarballPromise(null, null));
        Assert.Null(check.Verify(new byte[64]));
    }

    [Theory]
    [InlineData(38)]
    [InlineData(39)]
    [InlineData(41)]
    [InlineData(42)]
    public void A_shasum_of_another_length_is_never_fulfilled(int digits)
    {
        using var check = new IntegrityCheck(new TarballPromise(null, new string('0', digits)));
        Assert.True(check.IsPromised);
        Assert.NotNull(check.Verify(new byte[20]));
    }

    [Theory]
    [InlineData("sha512-AAAA", 64)]
    [InlineData("sha256-AAAA", 32)]
    [InlineData("md5-AAAA", 16)]
    public void A_hash_that_is_too_short_is_never_fulfilled(string integrity, int sizeBytes)
    {
        using var check = new IntegrityCheck(new TarballPromise(integrity, null));
        Assert.NotNull(check.Verify(new byte[sizeBytes]));
    }

    [Fact]
    public void An_empty_tarball_is_checked_too()
    {
        Assert.Null(Finish(new TarballPromise(Sha512([]), null), []));
        using var untouched = new IntegrityCheck(new TarballPromise(Sha512([]), null));
        Assert.Null(untouched.Finish());
        Assert.NotNull(Finish(new TarballPromise(Sha512(Tarball), null), []));
    }

    private static string? Finish(TarballPromise promise, byte[] bytes)
    {
        using var check = new IntegrityCheck(promise);
        check.Append(bytes);
        return check.Finish();
    }

    private static string Sha512(ReadOnlySpan<byte> bytes) => "sha512-" + Convert.ToBase64String(SHA512.HashData(bytes));

#pragma warning disable CA5350 // Old manifests promise nothing better.
    private static byte[] Sha1(ReadOnlySpan<byte> bytes) => SHA1.HashData(bytes);
#pragma warning restore CA5350
}
