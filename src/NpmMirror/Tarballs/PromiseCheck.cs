using System.Security.Cryptography;
using NpmMirror.Packuments;
using NpmMirror.Storage;

namespace NpmMirror.Tarballs;

/// <summary>Compares a stored tarball with a packument's promise.</summary>
internal static class PromiseCheck
{
    /// <summary>Whether the promise covers the stored bytes, and their problem. The bytes are read only if the promise is no SHA-512.</summary>
    internal static async Task<(bool IsChecked, string? Problem)> FindProblemAsync(IBlobStore blobs, TarballRow row, TarballPromise promise, CancellationToken cancellationToken)
    {
        using var check = new IntegrityCheck(promise);
        if (check.Algorithm == HashAlgorithmName.SHA512)
        {
            return (true, check.Verify(row.Sha512.Bytes));
        }

        await using var blob = check.IsPromised ? await blobs.OpenAsync(row.Sha512, cancellationToken) : null;
        if (blob is null)
        {
            return (false, null);
        }

        var buffer = new byte[TarballReading.WithheldBytes];
        var offset = 0L;
        int read;
        while ((read = await blob.ReadAsync(offset, buffer, cancellationToken)) > 0)
        {
            check.Append(buffer.AsSpan(0, read));
            offset += read;
        }

        return (true, check.Finish());
    }
}
