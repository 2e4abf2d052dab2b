using System.Net;
using Microsoft.Win32.SafeHandles;
using NpmMirror.AspNetCore.Routing;

namespace NpmMirror.AspNetCore.Answers;

/// <summary>A stored tarball, while it is held and may be served.</summary>
/// <param name="headers">The lines that go with 200 and 304 alike.</param>
/// <param name="etag">Its ETag, quotes included.</param>
/// <param name="path">Its file.</param>
/// <param name="lengthBytes">Its length.</param>
/// <param name="isServable">Whether it still may be served, as far as that is known without asking the store.</param>
/// <param name="record">Told the client that was served.</param>
internal sealed class RememberedTarball(string headers, string? etag, string path, long lengthBytes, Func<bool> isServable, Action<EndPoint?> record) : RememberedAnswer(RegistryRoute.TarballPattern, headers, "", etag)
{
    /// <inheritdoc/>
    internal override bool TryBegin(ReadOnlySpan<byte> ifNoneMatch, EndPoint? client, out AnswerBody body)
    {
        body = default;
        if (!isServable())
        {
            return false;
        }

        if (IsKnown(ifNoneMatch))
        {
            return true;
        }

        if (Open() is not { } file)
        {
            return false;
        }

        record(client);
        body = new AnswerBody(null, file, lengthBytes);
        return true;
    }

    /// <summary>The file, or null if it has changed: the server finds out why.</summary>
    private SafeFileHandle? Open()
    {
        try
        {
            var file = File.OpenHandle(path, FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete);
            if (RandomAccess.GetLength(file) == lengthBytes)
            {
                return file;
            }

            file.Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            // Deleted or unreadable.
        }

        return null;
    }
}
